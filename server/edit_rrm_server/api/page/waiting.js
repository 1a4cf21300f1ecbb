// Waiting as long as the service asked for, told second by second.

/** Ends after `waitS` seconds, or earlier when `hurry` is called; `tell` is given the seconds left. */
export function countdown(waitS, signal, tell) {
  return new Promise((resolve, reject) => {
    const endsAt = performance.now() + waitS * 1000;
    const timer = setInterval(() => tick(), 250);
    const end = (settle) => {
      clearInterval(timer);
      signal.removeEventListener("abort", aborted);
      settle();
    };
    const aborted = () => end(() => reject(signal.reason));
    const tick = () => {
      const leftS = Math.ceil((endsAt - performance.now()) / 1000);
      if (leftS > 0) tell(leftS);
      else if (!document.hidden) end(resolve); // nobody waits behind a hidden page
    };
    signal.addEventListener("abort", aborted);
    tick();
  });
}
