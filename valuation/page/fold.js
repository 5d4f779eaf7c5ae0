// Opens what a link leads into and what is printed, where a browser does not do so by itself.
(() => {
  "use strict";
  const open = (element) => {
    for (let e = element; e; e = e.parentElement) if (e.localName === "details") e.open = true;
  };
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.closest("details:not([open])")) return;
    open(target);
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  let shut = [];
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll(".vl-fold:not([open]), .vl-told:not([open])")];
    for (const element of shut) element.open = true;
  });
  addEventListener("afterprint", () => {
    for (const element of shut) element.open = false;
  });
  reveal();
})();
