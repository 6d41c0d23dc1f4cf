//! Files for tests and fuzzing: one of each kind, and what becomes of them in bad hands. All are made here or lie in
//! `tests/data`, so the corpus is the same everywhere.

// Tests and the corpus example each use a part of this.
#![allow(dead_code, reason = "shared by several programs")]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// What is read, by the name of its decoder.
pub(crate) const FORMATS: [(&str, ImageFormat); 6] = [
    ("jpeg", ImageFormat::Jpeg),
    ("png", ImageFormat::Png),
    ("gif", ImageFormat::Gif),
    ("webp", ImageFormat::WebP),
    ("bmp", ImageFormat::Bmp),
    ("tiff", ImageFormat::Tiff),
];

/// A file and what it is.
pub(crate) struct File {
    /// The decoder that it is for: `jpeg`, `png`, `gif`, `webp`, `bmp` or `tiff`.
    pub(crate) format: &'static str,
    /// What is special about it.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl File {
    fn new(format: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { format, name: name.into(), bytes }
    }
}

/// Encodes with the `image` crate's encoders.
pub(crate) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("a picture in memory");
    bytes.into_inner()
}

/// A picture without flat areas, so that every byte of its file matters.
#[allow(clippy::cast_possible_truncation, reason = "bytes are wanted")]
pub(crate) fn busy(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let n = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).rotate_left(7);
        Rgb([(n >> 3) as u8, (n >> 11) as u8, (n >> 19) as u8])
    })
}

/// Coloured quarters, wider than high: red, green over blue, white. JPEG keeps them apart.
pub(crate) fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (true, false) => Rgb([0, 0, 255]),
        (false, false) => Rgb([255, 255, 255]),
    })
}

/// The names of the corners' colours: top left, top right, bottom left, bottom right.
pub(crate) fn corners(image: &DynamicImage) -> String {
    let image = image.to_rgb8();
    let (right, bottom) = (image.width() - 3, image.height() - 3);
    [(2, 2), (right, 2), (2, bottom), (right, bottom)]
        .iter()
        .map(|&(x, y)| match image.get_pixel(x, y).0.map(|c| c > 128) {
            [true, false, false] => 'r',
            [false, true, false] => 'g',
            [false, false, true] => 'b',
            [true, true, true] => 'w',
            _ => '?',
        })
        .collect()
}

fn with_alpha(width: u32, height: u32) -> RgbaImage {
    let ground = busy(width, height);
    RgbaImage::from_fn(width, height, |x, y| {
        let [red, green, blue] = ground.get_pixel(x, y).0;
        Rgba([red, green, blue, if x % 3 == 0 { 0 } else { 255 }])
    })
}

/// CRC-32 as PNG has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// A chunk of a PNG.
pub(crate) fn png_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let length = u32::try_from(data.len()).expect("below 4 GB");
    [&length.to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
}

/// A PNG of the given chunks after the header: depth, colour type, interlacing.
pub(crate) fn png_file(width: u32, height: u32, [depth, colour, interlace]: [u8; 3], rest: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, interlace]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(*b"IHDR", &header), rest.concat(), png_chunk(*b"IEND", &[])].concat()
}

/// A zlib stream of `length` zeros, a thousandth of their size.
pub(crate) fn zeros(length: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let now = left.min(block.len());
        std::io::Write::write_all(&mut encoder, &block[..now]).expect("memory");
        left -= now;
    }
    encoder.finish().expect("memory")
}

/// A marker segment of a JPEG.
pub(crate) fn jpeg_segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).expect("a segment").to_be_bytes();
    [&[0xFF, marker][..], &length, content].concat()
}

/// A JPEG with segments after its first marker.
pub(crate) fn jpeg_with(segments: &[Vec<u8>]) -> Vec<u8> {
    let jpeg = encode(busy(64, 48), ImageFormat::Jpeg);
    [&jpeg[..2], &segments.concat(), &jpeg[2..]].concat()
}

/// One good file of every kind.
pub(crate) fn good() -> Vec<File> {
    let mut files: Vec<File> =
        FORMATS.into_iter().map(|(name, format)| File::new(name, "busy", encode(busy(40, 24), format))).collect();
    let deep = DynamicImage::from(busy(20, 12)).into_rgb16();
    files.extend([
        File::new("png", "alpha", encode(with_alpha(33, 21), ImageFormat::Png)),
        File::new("png", "deep", encode(deep, ImageFormat::Png)),
        File::new("webp", "alpha", encode(with_alpha(33, 21), ImageFormat::WebP)),
        File::new("jpeg", "grey", encode(DynamicImage::from(busy(40, 24)).into_luma8(), ImageFormat::Jpeg)),
        File::new("jpeg", "progressive", include_bytes!("../data/progressive.jpg").to_vec()),
        File::new("jpeg", "cmyk", include_bytes!("../data/cmyk.jpg").to_vec()),
        File::new("webp", "lossy", include_bytes!("../data/lossy.webp").to_vec()),
        File::new("webp", "lossy-alpha", include_bytes!("../data/lossy-alpha.webp").to_vec()),
        File::new("gif", "animated", include_bytes!("../data/animated.gif").to_vec()),
        File::new("tiff", "deflate", include_bytes!("../data/deflate.tiff").to_vec()),
        File::new("tiff", "lzw", include_bytes!("../data/lzw.tiff").to_vec()),
    ]);
    files
}

/// Files that are made to do harm. None of them holds a picture that may be made.
pub(crate) fn bombs() -> Vec<File> {
    let mut files = headers_that_lie();
    files.extend(jpeg_scan_bombs());
    let bomb = zeros(200_000_000);
    files.push(File::new(
        "png",
        "pixels-from-nothing",
        png_file(60_000, 60_000, [8, 2, 0], &[png_chunk(*b"IDAT", &bomb)]),
    ));
    files.push(File::new("tiff", "ring", b"II*\0\x08\0\0\0\0\0\x08\0\0\0".to_vec()));
    let zero = |width, height| png_file(width, height, [8, 2, 0], &[png_chunk(*b"IDAT", &zeros(10))]);
    files.push(File::new("png", "no-width", zero(0, 5)));
    files.push(File::new("png", "no-height", zero(5, 0)));
    files
}

/// Good pictures beside metadata that would fill the memory of whoever unpacks it.
pub(crate) fn burdens() -> Vec<File> {
    let data = png_chunk(*b"IDAT", &zeros(4 * 13));
    let bomb = zeros(200_000_000);
    let with = |chunk: Vec<u8>| png_file(4, 4, [8, 2, 0], &[chunk, data.clone()]);
    let profile = [&b"profile\0\0"[..], &bomb].concat();
    let text = [&b"Comment\0\0"[..], &bomb].concat();
    let xmp = [&b"XML:com.adobe.xmp\0\x01\0\0\0"[..], &bomb].concat();
    let segments: Vec<Vec<u8>> = (1..=255)
        .map(|index| jpeg_segment(0xE2, &[&b"ICC_PROFILE\0"[..], &[index, 255], &vec![0x41; 65_000]].concat()))
        .collect();
    let xmp_segments: Vec<Vec<u8>> = (0..100)
        .map(|_| jpeg_segment(0xE1, &[&b"http://ns.adobe.com/xmp/extension/\0"[..], &vec![b'<'; 65_000]].concat()))
        .collect();
    vec![
        File::new("png", "profile-bomb", with(png_chunk(*b"iCCP", &profile))),
        File::new("png", "text-bomb", with(png_chunk(*b"zTXt", &text))),
        File::new("png", "xmp-bomb", with(png_chunk(*b"iTXt", &xmp))),
        File::new("jpeg", "huge-profile", jpeg_with(&segments)),
        File::new("jpeg", "huge-xmp", jpeg_with(&xmp_segments)),
    ]
}

/// Small files that claim 60,000 × 60,000 pixels.
fn headers_that_lie() -> Vec<File> {
    const SIDE: u32 = 60_000;
    let mut jpeg = encode(busy(40, 24), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    let mut bmp = encode(busy(40, 24), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&SIDE.to_le_bytes());
    bmp[22..26].copy_from_slice(&SIDE.to_le_bytes());
    let mut gif = encode(busy(40, 24), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0x60, 0xEA, 0x60, 0xEA]);
    vec![
        File::new("jpeg", "lying-header", jpeg),
        File::new("bmp", "lying-header", bmp),
        File::new("gif", "lying-header", gif),
    ]
}

/// A progressive JPEG of 7,000 × 7,000 pixels in few bytes that goes over them a thousand times.
fn jpeg_scan_bombs() -> Vec<File> {
    let progressive = include_bytes!("../data/progressive.jpg");
    let first = progressive.windows(2).position(|pair| pair == [0xFF, 0xDA]).expect("a scan");
    let mut head = progressive[..first].to_vec();
    let frame = head.windows(2).position(|pair| pair == [0xFF, 0xC2]).expect("a frame");
    head[frame + 5..frame + 9].copy_from_slice(&[0x1B, 0x58, 0x1B, 0x58]);
    let scan = jpeg_segment(0xDA, &[1, 1, 0, 1, 5, 0]);
    let end: &[u8] = &[0xFF, 0xD9];
    vec![File::new("jpeg", "thousand-scans", [&head, &scan.repeat(1000)[..], end].concat())]
}

/// `file` cut off at every `step` bytes.
pub(crate) fn cut(file: &[u8], step: usize) -> impl Iterator<Item = &[u8]> {
    (0..file.len()).step_by(step).map(|end| &file[..end])
}

/// `file` with one bit turned over, at `count` places spread over it.
pub(crate) fn flip(file: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let bits = file.len() * 8;
    (0..count).map(move |index| {
        // A prime step visits every bit before it comes back to one.
        let bit = index.wrapping_mul(7_919) % bits;
        let mut bytes = file.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    })
}
