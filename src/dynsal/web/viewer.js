// One video element is the only clock: every panel is a canvas that shows its tile of the mosaic, so all are in step.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  const clock = $('clock'), chart = $('chart'), scrub = $('scrub');
  const SVG = 'http://www.w3.org/2000/svg';
  const PAD = {left: 30, right: 10, top: 8, bottom: 20};
  const hidden = new Set();   // keys of panels, kept when another video is chosen
  let shown, panels = [], frame = 0, wish = null, url = null;

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const line = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    chart.append(made);
    return made;
  };
  const digits = value => value == null ? 'none' : value.toFixed(2);

  // ---- a video ----------------------------------------------------------------------------------------------------
  function choose(number) {
    clock.pause();
    shown = data.videos[number];
    $('name').textContent = shown.video;
    const {frames, of, working} = shown;
    $('about').textContent = `${shown.dataset}, test video: frames ${frames[0]} to ${frames.at(-1)}`
      + (frames.length < of ? ` (the middle ${frames.length} of ${of} scored)` : '')
      + `. The nets (seed ${shown.seed}) see ${working[0]}×${working[1]} pixels; their maps are enlarged here.`;
    $('motion').textContent = `motion: hue is direction, full colour is ${shown.bound} px per frame and more (at the nets’ size)`;
    $('legend-motion').hidden = !shown.panels.some(panel => panel.role === 'motion');
    scrub.max = frames.length - 1;
    build();
    if (url) URL.revokeObjectURL(url);
    const bytes = Uint8Array.from(atob(shown.mp4), letter => letter.charCodeAt(0));
    url = URL.createObjectURL(new Blob([bytes], {type: 'video/mp4'}));
    wish = null;
    clock.src = url;
    clock.playbackRate = Number($('speed').value);
    tell(0);
  }

  function build() {
    const colours = {floor: ['--floor'], ceiling: ['--ceiling'], net: ['--c0', '--c1', '--c2', '--c3', '--c4', '--c5', '--c6']};
    const used = {net: 0, floor: 0, ceiling: 0};
    $('panels').replaceChildren();
    $('shown').replaceChildren();
    panels = shown.panels.map((panel, tile) => {
      const made = {...panel, tile, hue: null, curve: shown.curves[panel.key]};
      if (made.curve) made.hue = `var(${colours[panel.role][used[panel.role]++ % colours[panel.role].length]})`;
      const swatch = () => made.hue ? element('span', {class: 'swatch', style: `--hue: ${made.hue}`}) : '';
      if (panel.role !== 'ceiling') {
        const [width, height] = shown.panel;
        made.canvas = element('canvas', {width, height, role: 'img', 'aria-label': panel.label});
        made.score = element('output');
        made.figure = element('figure', {class: 'panel', 'data-key': panel.key},
          made.canvas, element('figcaption', {}, swatch(), element('span', {class: 'name'}, panel.label), made.score));
        made.figure.addEventListener('click', () => { made.figure.classList.toggle('large'); arrange(); });
        $('panels').append(made.figure);
      }
      const box = element('input', {type: 'checkbox', 'data-key': panel.key});
      box.checked = !hidden.has(panel.key);
      box.addEventListener('change', () => {
        hidden[box.checked ? 'delete' : 'add'](panel.key);
        visible();
      });
      const chip = element('label', {class: 'chip'}, box, panel.label);
      if (made.hue) chip.style.setProperty('--hue', made.hue);
      if (made.curve) chip.append(element('b', {title: 'mean of the whole video'}, digits(shown.means[panel.key])));
      $('shown').append(chip);
      return made;
    });
    visible();
  }

  function visible() {
    for (const panel of panels) if (panel.figure) panel.figure.hidden = hidden.has(panel.key);
    arrange();
    plot();
  }

  function arrange() {   // as many columns as leave the fewest rows, then as few of them as these rows need
    const cells = panels.filter(panel => panel.figure && !panel.figure.hidden)
      .reduce((sum, panel) => sum + (panel.figure.classList.contains('large') ? 4 : 1), 0);
    const most = Math.max(2, Math.floor($('panels').clientWidth / 175));
    const rows = Math.max(1, Math.ceil(cells / most));
    $('panels').style.setProperty('--columns', Math.max(cells > 1 ? 2 : 1, Math.ceil(cells / rows)));
  }

  // ---- curves -----------------------------------------------------------------------------------------------------
  let axes = null;

  function plot() {
    const {width, height} = chart.getBoundingClientRect();
    const curves = panels.filter(panel => panel.curve && !hidden.has(panel.key));
    const values = panels.flatMap(panel => panel.curve || []).filter(value => value != null);
    const low = Math.min(0.4, Math.floor(10 * Math.min(1, ...values)) / 10), last = Math.max(1, shown.frames.length - 1);
    axes = {
      x: at => PAD.left + at / last * (width - PAD.left - PAD.right),
      y: value => PAD.top + (1 - value) / (1 - low) * (height - PAD.top - PAD.bottom),
      at: x => Math.round((x - PAD.left) / (width - PAD.left - PAD.right) * last),
      bottom: height - PAD.bottom,
    };
    chart.setAttribute('viewBox', `0 0 ${width} ${height}`);
    chart.replaceChildren();
    const step = (1 - low) > 0.65 ? 0.25 : 0.1;
    for (let value = 1; value > low - 1e-9; value -= step) {
      line('line', {class: 'grid', x1: PAD.left, x2: width - PAD.right, y1: axes.y(value), y2: axes.y(value)});
      line('text', {x: PAD.left - 6, y: axes.y(value) + 4, 'text-anchor': 'end'}).textContent = value.toFixed(step < 0.2 ? 1 : 2);
    }
    line('line', {class: 'chance', x1: PAD.left, x2: width - PAD.right, y1: axes.y(0.5), y2: axes.y(0.5)});
    const ticks = Math.max(2, Math.min(8, Math.floor(width / 110)));
    for (let tick = 0; tick < ticks; tick++) {
      const at = Math.round(tick * last / (ticks - 1));
      const anchor = tick === 0 ? 'start' : tick === ticks - 1 ? 'end' : 'middle';
      line('text', {x: axes.x(at), y: height - 4, 'text-anchor': anchor}).textContent = shown.frames[Math.min(at, shown.frames.length - 1)];
    }
    for (const panel of curves) {
      let path = '', pen = 'M';
      panel.curve.forEach((value, at) => {
        if (value == null) { pen = 'M'; return; }
        path += `${pen}${axes.x(at).toFixed(1)},${axes.y(value).toFixed(1)}`;
        if (pen === 'M') path += 'h0.01';   // a point alone is seen too
        pen = 'L';
      });
      line('path', {class: `curve ${panel.role}`, d: path, style: `--hue: ${panel.hue}`, 'data-key': panel.key});
    }
    axes.cursor = line('line', {class: 'cursor', y1: PAD.top, y2: axes.bottom});
    axes.dots = curves.map(panel => [panel, line('circle', {r: 3.5, style: `--hue: ${panel.hue}`})]);
    cursor();
  }

  function cursor() {
    const x = axes.x(frame);
    axes.cursor.setAttribute('x1', x);
    axes.cursor.setAttribute('x2', x);
    for (const [panel, dot] of axes.dots) {
      const value = panel.curve[frame];
      dot.setAttribute('visibility', value == null ? 'hidden' : 'visible');
      dot.setAttribute('cx', x);
      dot.setAttribute('cy', axes.y(value ?? 0.5));
    }
  }

  // ---- frames -----------------------------------------------------------------------------------------------------
  function tell(at) {   // what is said about a frame
    frame = at;
    scrub.value = at;
    const seconds = (at / shown.fps).toFixed(2);
    $('time').textContent = `frame ${shown.frames[at]} · ${seconds} s`;
    scrub.setAttribute('aria-valuetext', `frame ${shown.frames[at]}, ${seconds} seconds`);
    for (const panel of panels) if (panel.score && panel.curve) panel.score.textContent = digits(panel.curve[at]);
    cursor();
  }

  function draw(seconds) {   // the picture that the clock shows, and what is said about it
    const at = Math.max(0, Math.min(shown.frames.length - 1, Math.floor(seconds * shown.fps + 0.01)));
    const [width, height] = shown.panel;
    for (const panel of panels) {
      if (!panel.canvas) continue;
      const left = panel.tile % shown.columns * width, top = Math.floor(panel.tile / shown.columns) * height;
      panel.canvas.getContext('2d').drawImage(clock, left, top, width, height, 0, 0, width, height);
      panel.canvas.dataset.frame = at;
    }
    if (wish === null && !scrubbing()) tell(at);
  }
  const scrubbing = () => clock.seeking;

  function go(to) {   // one jump at a time: the last wish wins
    const at = Math.max(0, Math.min(shown.frames.length - 1, to));
    tell(at);
    if (clock.seeking || clock.readyState < 1) { wish = at; return; }
    wish = null;
    clock.currentTime = (at + 0.5) / shown.fps;
  }

  if ('requestVideoFrameCallback' in HTMLVideoElement.prototype) {
    const each = (now, picture) => { draw(picture.mediaTime); clock.requestVideoFrameCallback(each); };
    clock.requestVideoFrameCallback(each);
  } else {
    const each = () => { if (!clock.paused) draw(clock.currentTime); requestAnimationFrame(each); };
    each();
  }
  clock.addEventListener('loadeddata', () => { if (wish === null) draw(clock.currentTime); else go(wish); });
  clock.addEventListener('seeked', () => {
    draw(clock.currentTime);
    if (wish !== null) go(wish);
  });
  clock.addEventListener('error', () => {
    $('problem').hidden = false;
    $('problem').textContent = `This browser cannot play the video (${clock.error ? clock.error.message : 'unknown error'}). `
      + 'It needs H.264, as Chrome, Edge, Firefox and Safari have it.';
  });

  // ---- controls ---------------------------------------------------------------------------------------------------
  const toggle = () => clock.paused ? clock.play() : clock.pause();
  const step = by => { clock.pause(); go(frame + by); };
  for (const event of ['play', 'pause']) clock.addEventListener(event, () => {
    $('icon').setAttribute('d', clock.paused ? 'M7 4v16l13-8z' : 'M6 4h4v16H6zM14 4h4v16h-4z');
    $('play').setAttribute('aria-label', clock.paused ? 'Play' : 'Pause');
  });
  $('play').addEventListener('click', toggle);
  $('back').addEventListener('click', () => step(-1));
  $('next').addEventListener('click', () => step(1));
  scrub.addEventListener('input', () => { clock.pause(); go(Number(scrub.value)); });
  $('speed').addEventListener('change', () => { clock.playbackRate = Number($('speed').value); });
  const follow = event => { clock.pause(); go(axes.at(event.clientX - chart.getBoundingClientRect().left)); };
  chart.addEventListener('pointerdown', event => { chart.setPointerCapture(event.pointerId); follow(event); });
  chart.addEventListener('pointermove', event => { if (event.buttons) follow(event); });
  document.addEventListener('keydown', event => {
    const tag = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || tag === 'SELECT') return;
    const by = event.shiftKey ? 10 : 1;
    const act = {
      ' ': ['BUTTON', 'INPUT'].includes(tag) && event.target !== scrub ? null : toggle,
      ArrowLeft: () => step(-by), ArrowRight: () => step(by),
      Home: () => step(-frame), End: () => step(shown.frames.length),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  new ResizeObserver(() => { arrange(); plot(); }).observe(chart);

  $('heat').src = data.heat;
  $('wheel').src = data.wheel;
  data.videos.forEach((video, number) => $('video').append(element('option', {value: number}, video.video)));
  $('choice').hidden = data.videos.length < 2;
  $('video').addEventListener('change', () => choose(Number($('video').value)));
  choose(0);
})();
