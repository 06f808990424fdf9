/**
 * Grey pictures on a canvas.
 */

/**
 * Draw one picture.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} pixels Greys, row by row.
 * @param {{width: number, height: number, low: number, high: number}} format Size, and the values
 *   that are black and white.
 */
function drawPicture(canvas, pixels, format) {
  canvas.width = format.width;
  canvas.height = format.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(format.width, format.height);
  pixels.forEach((value, index) => {
    const grey = (255 * (value - format.low)) / (format.high - format.low);
    // The array of an image rounds and limits its values.
    image.data.set([grey, grey, grey, 255], 4 * index);
  });
  context.putImageData(image, 0, 0);
}
