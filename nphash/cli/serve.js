// As you type: the same page asks for its results alone. Without this file the form does it.
const box = document.querySelector("[name=q]");
const results = document.getElementById("results");
let asked = 0;
box.addEventListener("input", () => {
  const mine = ++asked;
  setTimeout(async () => {
    if (mine !== asked) return;
    const query = "?" + new URLSearchParams(new FormData(box.form));
    const answer = await fetch("./" + query + "&part=1").catch(() => null);
    if (mine !== asked || !answer || !answer.ok) return;
    results.innerHTML = await answer.text();
    history.replaceState(null, "", "./" + query);
  }, 150);
});
