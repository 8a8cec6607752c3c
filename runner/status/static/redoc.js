"use strict";
// ReDoc draws its mark from another host, which the policy of the page keeps out and the console complains of: the
// icon of these pages takes its place.
const image = HTMLImageElement.prototype;
const source = Object.getOwnPropertyDescriptor(image, "src");
const ours = (address) => (String(address).endsWith("/logo-mini.svg") ? "/static/icon.svg" : address);
image.setAttribute = function (name, value) {
  Element.prototype.setAttribute.call(this, name, name === "src" ? ours(value) : value);
};
Object.defineProperty(image, "src", {
  ...source,
  set(value) {
    source.set.call(this, ours(value));
  },
});
