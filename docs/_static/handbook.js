// A part that scrolls sideways must be reachable by keyboard (WCAG 2.1.1); one that does not must not be a stop on the way.
function markScrollable() {
  for (const part of document.querySelectorAll("pre, .table-wrapper, div.math")) {
    if (part.scrollWidth > part.clientWidth) part.setAttribute("tabindex", "0");
    else part.removeAttribute("tabindex");
  }
}
addEventListener("load", markScrollable);
addEventListener("resize", markScrollable);
