"use strict";
/* Numbers under the pointer, and the two sliders. Everything it shows stands in the page's tables too. */
(() => {
  document.documentElement.classList.add("js");
  const data = JSON.parse(document.getElementById("data").textContent);
  const say = (element, text) => { element.textContent = text; };
  const figure = (value) => value === null ? "–"
    : Math.abs(value) >= 100 || value === 0 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);

  const timeline = document.getElementById("timeline");
  if (timeline && data.timeline) {
    const { times, places, panels } = data.timeline;
    const slider = document.getElementById("when"), output = document.getElementById("numbers");
    const cursors = [...timeline.querySelectorAll(".plot")].map((plot) => {
      const line = plot.appendChild(document.createElement("div"));
      line.className = "cursor";
      return line;
    });
    const show = (index) => {
      slider.value = index;
      cursors.forEach((line) => { line.style.left = `${places[index] * 100}%`; });
      const parts = panels.map((panel) => panel.series.map((series) => {
        say(document.getElementById(series.id), figure(series.values[index]));
        return `${series.name} ${figure(series.values[index])} ${panel.unit}`;
      }).join(" · "));
      say(output, `At ${times[index].toFixed(3)} s: ${parts.join("; ")}`);
      slider.setAttribute("aria-valuetext", `${times[index].toFixed(3)} seconds`);
    };
    slider.max = times.length - 1;
    const used = () => timeline.classList.add("used");
    slider.addEventListener("input", () => { used(); show(Number(slider.value)); });
    timeline.addEventListener("pointermove", (event) => {
      const plot = event.target.closest(".plot");
      if (!plot) return;
      const box = plot.getBoundingClientRect(), place = (event.clientX - box.left) / box.width;
      let best = 0;
      places.forEach((each, index) => { if (Math.abs(each - place) < Math.abs(places[best] - place)) best = index; });
      used();
      show(best);
    });
    show(times.length - 1);
  }

  const maps = [...document.querySelectorAll(".maps figure")];
  if (maps.length) {
    const slider = document.getElementById("map");
    const show = (index) => {
      maps.forEach((each, number) => {
        each.classList.toggle("shown", number === index);
        each.classList.toggle("before", number === index - 1);
        each.classList.toggle("alone", index === 0);
      });
      slider.setAttribute("aria-valuetext", maps[index].dataset.moment);
    };
    slider.max = maps.length - 1;
    slider.addEventListener("input", () => show(Number(slider.value)));
    const first = maps.findIndex((each) => each.id === "first-map");
    slider.value = first;
    show(first);
  }
})();
