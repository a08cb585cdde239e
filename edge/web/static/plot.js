// Plots over time, on uPlot, which is loaded when a page first draws one.

let loading = null;

function loadScript() {
  loading ??= new Promise((resolve, reject) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/vendor/uPlot.min.css" });
    const script = Object.assign(document.createElement("script"), { src: "/static/vendor/uPlot.iife.min.js" });
    script.addEventListener("load", () => resolve(window.uPlot));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("the plot library was not loaded"));
    });
    document.head.append(style, script);
  });
  return loading;
}

// uPlot itself, for a page with a picture of its own
export const loadPlot = () => loadScript();
