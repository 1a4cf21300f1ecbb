// Whether a file is a picture that the service takes, told when it is chosen. The service looks again.

const SIGNATURES = {
  PNG: [[0, "\x89PNG\r\n\x1a\n"]],
  JPEG: [[0, "\xff\xd8\xff"]],
  WebP: [[0, "RIFF"], [8, "WEBP"]],
};

/** Why the service would not take `file`, in words that follow its name; null where nothing speaks against it.
 * `limits` are those of GET /v1/models, null while they are not known. */
export async function refusalOf(file, limits) {
  const most = limits === null ? Infinity : Math.min(limits.max_image_bytes, limits.max_body_bytes);
  if (file.size > most) return `has ${mebibytes(file.size)}, the service takes at most ${mebibytes(most)}`;
  const bytes = await bytesOf(file);
  if (bytes === null) return "cannot be read";
  const format = formatOf(bytes);
  if (format === null) return isText(bytes) ? "holds text, no picture" : "is no PNG, JPEG or WebP";
  if (isAnimated(bytes, format)) return "is animated: save one still picture of it";
  const claimed = format === "PNG" && bytes.length > 24 ? sizeOfPng(bytes) : null;
  return tooManyPixels(claimed, limits) ?? tooManyPixels(await decoded(file), limits, "is damaged, it does not decode");
}

function tooManyPixels(size, limits, unknown = null) {
  if (size === null) return unknown;
  const pixels = size.width * size.height;
  if (limits === null || pixels <= limits.max_image_pixels) return null;
  return `has ${size.width} × ${size.height} pixels (${megapixels(pixels)}), the service takes at most ${megapixels(limits.max_image_pixels)}`;
}

/** Null for what is no file, a folder say, or is there no more. */
async function bytesOf(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    if (!["NotReadableError", "NotFoundError"].includes(error.name)) throw error;
    return null;
  }
}

/** Width and height as the browser decodes it; null where it does not. */
async function decoded(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch (error) {
    if (error.name !== "InvalidStateError") throw error; // anything else is not the file's fault
    return null;
  }
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

function formatOf(bytes) {
  const found = Object.entries(SIGNATURES).find(([, parts]) => parts.every(([at, text]) => stands(bytes, at, text)));
  return found ? found[0] : null;
}

function stands(bytes, at, text) {
  return [...text].every((letter, index) => bytes[at + index] === letter.charCodeAt(0));
}

function isText(bytes) {
  try {
    return !new TextDecoder("utf-8", { fatal: true }).decode(bytes.slice(0, 65536), { stream: true }).includes("\0");
  } catch (error) {
    if (error instanceof TypeError) return false; // no UTF-8
    throw error;
  }
}

/** A PNG with more than one frame (APNG: acTL before the pixels), a WebP whose header says animation. */
function isAnimated(bytes, format) {
  if (format === "WebP") return stands(bytes, 12, "VP8X") && (bytes[20] & 2) !== 0;
  if (format !== "PNG") return false;
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 16 <= bytes.length && !stands(bytes, at + 4, "IDAT"); at += 12 + view.getUint32(at)) {
    if (stands(bytes, at + 4, "acTL")) return view.getUint32(at + 8) > 1;
  }
  return false;
}

function sizeOfPng(bytes) {
  const view = new DataView(bytes.buffer);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

export function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;
}

export function megapixels(pixels) {
  return `${(pixels / 1e6).toFixed(pixels < 1e7 ? 1 : 0)} megapixels`;
}
