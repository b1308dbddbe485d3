'use strict';
// Lights a block up in the drawing and in the text at once. Links do the rest without a script.
const lit = new Set();
document.addEventListener('mouseover', (event) => {
    for (const element of lit) element.classList.remove('lit');
    lit.clear();
    const over = event.target.closest('[data-block]');
    if (!over) return;
    for (const element of document.querySelectorAll(`[data-block="${over.dataset.block}"]`)) {
        element.classList.add('lit');
        lit.add(element);
    }
});
