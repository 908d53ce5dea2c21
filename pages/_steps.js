// Streamlit hears no shortcut while the focus is on a control that was clicked; here those of the steps are heard.
if (!window.espalierSteps) {
  window.espalierSteps = true;
  const typed = "textarea, input[type=text], input[type=number], input:not([type])";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.isTrusted) return;
    const steps = document.querySelector("[data-steps]")?.dataset.steps.split(" ") ?? [];
    const focused = document.activeElement;
    if (!steps.includes(event.key) || focused === document.body || focused.matches(typed)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    focused.blur();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: event.key, code: event.code, bubbles: true }));
  }, true);
}
