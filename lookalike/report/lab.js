"use strict";

// Sorting: a click, or Enter on the focused heading, sorts by that column; another turns it round.
for (const table of document.querySelectorAll("table.matrix")) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const column = heading.cellIndex;
      const descending = heading.hasAttribute("aria-sort")
        ? heading.getAttribute("aria-sort") === "ascending"
        : heading.dataset.better === "higher";
      const key = row => row.cells[column].dataset.value;
      const rows = [...body.rows].sort((a, b) => {
        const [one, other] = [key(a), key(b)];
        if (one === "" || other === "") return (one === "") - (other === ""); // what has no value stays below
        const order = column === 0 ? one.localeCompare(other) : Number(one) - Number(other);
        return descending ? -order : order;
      });
      body.append(...rows);
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    });
  }
}

// The slider lays one picture of the table over another of the same row.
for (const slider of document.querySelectorAll(".slider")) {
  const table = document.getElementById(slider.dataset.table);
  const [row, before, after] = slider.querySelectorAll("select");
  const [under, over] = slider.querySelectorAll(".pair img");
  const edge = slider.querySelector("input");
  const show = () => {
    const cells = table.tBodies[0].rows[row.value].cells;
    for (const [image, column] of [[under, before], [over, after]]) {
      const picture = cells[Number(column.value) + 1].querySelector("img");
      if (!picture) continue;
      image.src = picture.src;
      image.alt = picture.alt;
    }
  };
  const move = () => slider.style.setProperty("--at", `${edge.value}%`);
  for (const choice of [row, before, after]) choice.addEventListener("change", show);
  edge.addEventListener("input", move);
  show();
  move();
}
