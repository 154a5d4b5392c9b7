// One stream of news for all windows, as a worker that they share: a browser opens six connections to a server, and a
// window that finds them taken stays empty. The name of the worker is the address of the news.

const windows = new Set();
const heard = new Set();
const source = new EventSource(name);

const tell = (kind, facts) => windows.forEach((port) => port.postMessage({ kind, facts }));

function hear(kind) {
  if (heard.has(kind)) return;
  heard.add(kind);
  source.addEventListener(kind, (event) => tell(kind, JSON.parse(event.data)));
}

source.onerror = () => tell("lost", {});

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "closed") {
      windows.delete(port);
      return;
    }
    windows.add(port);
    data.forEach(hear);
    if (source.readyState === EventSource.OPEN) port.postMessage({ kind: "hello", facts: {} });
  };
});
