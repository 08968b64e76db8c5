// A part that scrolls sideways must be reachable by keyboard (WCAG 2.1.1); one that does not must not be a stop on the way.
function markScrollable() {
  for (const part of document.querySelectorAll("pre, .table-wrapper, div.math")) {
    if (part.scrollWidth > part.clientWidth) part.setAttribute("tabindex", "0");
    else part.removeAttribute("tabindex");
  }
}
addEventListener("load", markScrollable);
addEventListener("resize", markScrollable);

// The same page in another language opens at the same section.
for (const link of document.querySelectorAll("nav.languages a")) {
  link.addEventListener("click", () => { link.hash = location.hash; });
}
