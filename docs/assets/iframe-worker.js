// Pages opened from a disk may not start workers, and the search runs in one: there, a hidden frame takes its place.
// The same trick as the package iframe-worker, which the plugin `offline` would load from another server.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.frame = frame;
      const inner = frame.contentWindow;
      addEventListener("message", (event) => {
        if (event.source !== inner) return;
        this.dispatchEvent(new MessageEvent("message", { data: event.data }));
        this.onmessage?.(event);
      });
      this.loaded = new Promise((resolve) => {
        frame.addEventListener("load", resolve, { once: true });
        inner.document.open();
        inner.document.write(`<script>(${prepare})()</script><script src="${url}"></script>`);
        inner.document.close();
      });
    }

    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };

  /** In the frame: what the script of a worker expects. */
  function prepare() {
    window.postMessage = (data) => parent.postMessage(data, "*");
    window.importScripts = (...urls) =>
      urls.reduce(
        (before, url) =>
          before.then(
            () =>
              new Promise((resolve) => {
                const script = document.createElement("script");
                script.src = url;
                script.onload = resolve;
                document.body.append(script);
              }),
          ),
        Promise.resolve(),
      );
  }
}
