/* One attempt at a request. It ends even if the network is lost, which a browser may not notice. */

// The server is silent for at most its --timeout, which `routes/page.py` puts there. The rest is for
// a slow upload.
const MAX_SILENCE = Number(document.documentElement.dataset.timeout) + 90; // seconds

/**
 * The response with all of its body, whatever its status; null if the server cannot be reached or
 * has sent nothing for too long. Throws AbortError if `options.signal` is aborted.
 * `onPart` receives the size of the body so far, and its final size, or 0 if that is unknown.
 */
export async function attempt(path, options = {}, onPart = () => {}) {
  const silence = new AbortController();
  let timer = 0;
  const restartTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), 1000 * MAX_SILENCE);
  };
  const signal = AbortSignal.any([silence.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    restartTimer();
    const response = await fetch(path, { ...options, signal });
    return await whole(response, (size) => {
      restartTimer();
      onPart(size, Number(response.headers.get("Content-Length")));
    });
  } catch {
    options.signal?.throwIfAborted();
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** A response that has received all of its body. `onSize` receives the size so far. */
async function whole(response, onSize) {
  if (response.status === 204) return response; // it has no body
  const parts = [];
  let size = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    size += part.value.length;
    onSize(size);
  }
  return new Response(new Blob(parts), response);
}
