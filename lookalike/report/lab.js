"use strict";

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
