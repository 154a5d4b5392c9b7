"use strict";

for (const section of document.querySelectorAll("section")) {
  const slide = section.querySelector("input");
  const over = section.querySelector(".over");
  const wipe = () => { over.style.clipPath = `inset(0 ${100 - slide.value}% 0 0)`; };
  slide.addEventListener("input", wipe);
  wipe();
}
