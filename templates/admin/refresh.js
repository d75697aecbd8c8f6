(() => {
  "use strict";
  const every = 10000;
  const here = new URL(location.href);
  // It is said once, also when the page is loaded again.
  if (here.searchParams.has("ended")) {
    here.searchParams.delete("ended");
    history.replaceState(null, "", here);
  }
  const stale = document.getElementById("stale");
  let busy = false;
  // What somebody reads, marks or is about to press stays as it is.
  const isInUse = (part) => {
    const marked = getSelection();
    return part.contains(document.activeElement) || (!marked.isCollapsed && marked.containsNode(part, true));
  };
  const look = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(here, { signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["state", "list"]) {
        const part = document.getElementById(id);
        if (!isInUse(part)) part.replaceWith(document.adoptNode(page.getElementById(id)));
      }
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
    busy = false;
  };
  setInterval(look, every);
  document.addEventListener("visibilitychange", look);
})();
