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
