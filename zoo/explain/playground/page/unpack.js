/**
 * Decodes the data that Python embeds: base64 of gzip.
 */

/**
 * @param {string} text Base64 of gzip.
 * @returns {Promise<Uint8Array>}
 */
async function unpackBytes(text) {
  const packed = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Decode bytes that are mostly float32 numbers: all first bytes come first, and so on.
 *
 * @param {string} text
 * @returns {Promise<Uint8Array>}
 */
async function unpackFloat32Bytes(text) {
  const sorted = await unpackBytes(text);
  const numbers = Math.floor(sorted.length / 4);
  const bytes = sorted.slice();
  for (let index = 0; index < numbers; index++) {
    for (let byte = 0; byte < 4; byte++) {
      bytes[4 * index + byte] = sorted[byte * numbers + index];
    }
  }
  return bytes;
}

/**
 * Replace each {"float32": text} within embedded JSON by a Float32Array.
 *
 * @param {*} value
 * @returns {Promise<*>}
 */
async function unpackArrays(value) {
  if (Array.isArray(value)) return Promise.all(value.map(unpackArrays));
  if (value === null || typeof value !== "object") return value;
  if ("float32" in value) return new Float32Array((await unpackFloat32Bytes(value.float32)).buffer);
  const entries = await Promise.all(
    Object.entries(value).map(async ([key, item]) => [key, await unpackArrays(item)]),
  );
  return Object.fromEntries(entries);
}
