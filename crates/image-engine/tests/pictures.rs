//! What comes out for what may be put in: every format, every orientation, and files that are not what they say.

// The pictures are small: no coordinate or colour in them outgrows its type.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]

mod corpus;

use corpus::{busy, corners, encode, png_chunk, png_file, quarters};
use image::{
    DynamicImage, ExtendedColorType, GrayAlphaImage, ImageBuffer, ImageEncoder as _, ImageFormat, Luma, LumaA, Rgb,
    Rgba, RgbaImage,
};
use image_engine::{Engine, Limits, Reason, Recipe};
use proptest::prelude::*;

fn process(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    process_within(bytes, &Limits::default())
}

fn process_within(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Reason> {
    let made = Engine::new().process(bytes, &Recipe::default(), limits)?;
    Ok(made.pictures.into_iter().next().expect("one picture").bytes)
}

/// Processes and decodes the result, which must be a PNG.
fn process_and_decode(bytes: &[u8]) -> DynamicImage {
    let png = process(bytes).unwrap();
    image::load_from_memory_with_format(&png, ImageFormat::Png).unwrap()
}

fn chunk_names(png: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 8;
    while at + 8 <= png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        names.push(String::from_utf8_lossy(&png[at + 4..at + 8]).into_owned());
        at += 12 + length;
    }
    names
}

/// A zlib stream of one stored block.
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let length = u16::try_from(data.len()).unwrap();
    [&[0x78, 0x01, 0x01][..], &length.to_le_bytes(), &(!length).to_le_bytes(), data, &(b << 16 | a).to_be_bytes()]
        .concat()
}

/// A JPEG with an EXIF segment of an orientation and a camera's name.
fn jpeg_with_orientation(orientation: u8) -> Vec<u8> {
    let jpeg = encode(quarters(64, 32), ImageFormat::Jpeg);
    let tiff = [
        b"MM\0*\0\0\0\x08\0\x02".as_slice(),
        // Model, ASCII, 4 bytes in place; Orientation, SHORT, one.
        b"\x01\x10\0\x02\0\0\0\x04Cam\0",
        b"\x01\x12\0\x03\0\0\0\x01\0",
        &[orientation],
        b"\0\0\0\0\0\0",
    ]
    .concat();
    let payload = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &payload, &jpeg[2..]].concat()
}

#[test]
fn lossless_formats_keep_every_pixel() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let image = busy(37, 23);
        let result = process_and_decode(&encode(image.clone(), format));
        assert_eq!(result, DynamicImage::ImageRgb8(image), "{format:?}");
    }
}

#[test]
fn a_gif_keeps_its_colours_and_its_transparency() {
    let image = RgbaImage::from_fn(20, 10, |x, _| if x < 10 { Rgba([200, 30, 30, 255]) } else { Rgba([0, 0, 0, 0]) });
    let result = process_and_decode(&encode(image, ImageFormat::Gif)).to_rgba8();
    assert_eq!(result.get_pixel(2, 2), &Rgba([200, 30, 30, 255]));
    assert_eq!(result.get_pixel(15, 2).0[3], 0);
}

#[test]
fn grey_alpha_and_sixteen_bits_are_kept() {
    let grey = image::GrayImage::from_fn(9, 5, |x, y| Luma([(x * 20 + y) as u8]));
    let grey_alpha = GrayAlphaImage::from_fn(9, 5, |x, y| LumaA([(x * 20) as u8, (y * 50) as u8]));
    let deep: ImageBuffer<Rgb<u16>, _> =
        ImageBuffer::from_fn(9, 5, |x, y| Rgb([x as u16 * 7001, y as u16 * 13_001, 258]));
    let deep_alpha: ImageBuffer<Rgba<u16>, _> =
        ImageBuffer::from_fn(9, 5, |x, y| Rgba([x as u16 * 7001, 1, 2, y as u16 * 13_001]));
    for image in [DynamicImage::from(grey), grey_alpha.into(), deep.into(), deep_alpha.into()] {
        let result = process_and_decode(&encode(image.clone(), ImageFormat::Png));
        assert_eq!(result, image);
    }
}

#[test]
fn floating_point_samples_become_sixteen_bits() {
    let image: ImageBuffer<Rgb<f32>, Vec<f32>> = ImageBuffer::from_fn(4, 4, |x, _| Rgb([x as f32 / 3.0, 2.0, -1.0]));
    let result = process_and_decode(&encode(image, ImageFormat::Tiff));
    let result = result.as_rgb16().unwrap();
    assert_eq!(result.get_pixel(3, 0), &Rgb([65_535, 65_535, 0]));
    assert_eq!(result.get_pixel(0, 0).0[0], 0);
}

#[test]
fn a_palette_with_transparency_becomes_colours_with_alpha() {
    let palette = png_chunk(*b"PLTE", &[255, 0, 0, 0, 0, 255]);
    let transparency = png_chunk(*b"tRNS", &[255, 64]);
    // Two pixels of one bit each: 0, 1.
    let data = png_chunk(*b"IDAT", &stored_zlib(&[0, 0b0100_0000]));
    let file = png_file(2, 1, [1, 3, 0], &[palette, transparency, data]);
    let result = process_and_decode(&file).to_rgba8();
    assert_eq!(result.get_pixel(0, 0), &Rgba([255, 0, 0, 255]));
    assert_eq!(result.get_pixel(1, 0), &Rgba([0, 0, 255, 64]));
}

#[test]
fn an_interlaced_png_is_read() {
    // Adam7 of 2×2: pass 1 has (0,0), pass 6 (1,0), pass 7 the second row.
    let passes = [0, 10, 0, 20, 0, 30, 40];
    let file = png_file(2, 2, [8, 0, 1], &[png_chunk(*b"IDAT", &stored_zlib(&passes))]);
    assert_eq!(process_and_decode(&file).to_luma8().as_raw(), &[10, 20, 30, 40]);
}

#[test]
fn a_cmyk_jpeg_becomes_rgb() {
    // Adobe's CMYK is inverted: a file that says 255 everywhere is white.
    let grey = image::GrayImage::from_pixel(8, 8, Luma([255]));
    let jpeg = encode(grey, ImageFormat::Jpeg);
    let cmyk = four_components(&jpeg);
    let result = process_and_decode(&cmyk).to_rgb8();
    assert!(result.get_pixel(4, 4).0.iter().all(|&c| c > 250), "{:?}", result.get_pixel(4, 4));
}

/// Turns a grey 8×8 JPEG into a CMYK one: four components, each with the grey one's single block.
fn four_components(grey: &[u8]) -> Vec<u8> {
    let mut out = grey[..2].to_vec();
    // Adobe segment: version 100, no flags, transform 0 (CMYK).
    out.extend([0xFF, 0xEE, 0, 14]);
    out.extend(*b"Adobe\0\x64\0\0\0\0\0");
    let mut at = 2;
    loop {
        let length = usize::from(u16::from_be_bytes([grey[at + 2], grey[at + 3]]));
        let segment = &grey[at..at + 2 + length];
        match segment[1] {
            0xE0 => {}
            0xC0 => {
                out.extend([0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
                for id in 1..=4 {
                    out.extend([id, 0x11, segment[12]]);
                }
            }
            0xDA => {
                out.extend([0xFF, 0xDA, 0, 14, 4]);
                for id in 1..=4 {
                    out.extend([id, segment[6]]);
                }
                out.extend([0, 63, 0]);
                break;
            }
            _ => out.extend(segment),
        }
        at += 2 + length;
    }
    let scan_at = at + 2 + usize::from(u16::from_be_bytes([grey[at + 2], grey[at + 3]]));
    let scan = &grey[scan_at..grey.len() - 2];
    out.extend(repeat_block(scan));
    out.extend([0xFF, 0xD9]);
    out
}

/// The scan of one white 8×8 block, four times. A block's bits do not end at a byte, so they are joined bit by bit; the
/// padding of one-bits after the first block is found by the block's end-of-block code.
fn repeat_block(scan: &[u8]) -> Vec<u8> {
    let bits: Vec<bool> = scan.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    // The standard tables: 1016 / 1 → a DC difference of category n, then end-of-block 1010.
    let end = (1..=bits.len())
        .rev()
        .find(|&end| bits[end..].iter().all(|&bit| bit) && bits[..end].ends_with(&[true, false, true, false]))
        .expect("a block ends with its end-of-block code");
    // The DC of every further component is predicted from its own previous one, so the same bits do for each.
    let mut joined: Vec<bool> = bits[..end].repeat(4);
    while !joined.len().is_multiple_of(8) {
        joined.push(true);
    }
    joined
        .chunks(8)
        .flat_map(|byte| {
            let byte = byte.iter().fold(0u8, |byte, &bit| byte << 1 | u8::from(bit));
            if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }
        })
        .collect()
}

#[test]
fn every_exif_orientation_is_set_upright() {
    for (orientation, seen) in [
        (1, "rgbw"),
        (2, "grwb"),
        (3, "wbgr"),
        (4, "bwrg"),
        (5, "rbgw"),
        (6, "brwg"),
        (7, "wgbr"),
        (8, "gwrb"),
        (99, "rgbw"),
    ] {
        let result = process_and_decode(&jpeg_with_orientation(orientation));
        let turned = (5..=8).contains(&orientation);
        assert_eq!(result.width(), if turned { 32 } else { 64 }, "{orientation}");
        assert_eq!(corners(&result), seen, "{orientation}");
    }
}

#[test]
fn nothing_of_the_sources_metadata_is_left() {
    let text = png_chunk(*b"tEXt", b"Author\0Somebody");
    let exif = png_chunk(*b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0");
    let data = png_chunk(*b"IDAT", &stored_zlib(&[0, 1, 2, 3]));
    let file = png_file(1, 1, [8, 2, 0], &[text, exif, data]);
    for source in [file, jpeg_with_orientation(6)] {
        let mut names = chunk_names(&process(&source).unwrap());
        names.dedup();
        assert_eq!(names, ["IHDR", "IDAT", "IEND"]);
    }
}

#[test]
fn a_wide_gamut_profile_is_applied_and_dropped() {
    let with_profile = |profile: moxcms::ColorProfile| {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.encode().unwrap()).unwrap();
        encoder.write_image(&[150, 100, 50], 1, 1, ExtendedColorType::Rgb8).unwrap();
        process(&bytes).unwrap()
    };
    let pixel = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8().get_pixel(0, 0).0;

    let wide = with_profile(moxcms::ColorProfile::new_display_p3());
    assert!(!chunk_names(&wide).contains(&"iCCP".to_owned()));
    // Display P3's red reaches further: the same colour in sRGB has more red and less of the others.
    let [red, green, blue] = pixel(&wide);
    assert!(red > 152 && green < 100 && blue < 48, "{:?}", pixel(&wide));

    // And sRGB's own profile changes nothing at all.
    assert_eq!(pixel(&with_profile(moxcms::ColorProfile::new_srgb())), [150, 100, 50]);
}

#[test]
fn what_is_no_image_is_called_so() {
    assert_eq!(process(b""), Err(Reason::Empty));
    for text in [&b"just some text, and quite a lot of it"[..], b"%PDF-1.7", b"\0", &[0xFF; 64]] {
        assert_eq!(process(text), Err(Reason::NotAnImage));
    }
    // A known signature and nothing of the kind behind it.
    for head in [&b"\x89PNG\r\n\x1a\nnonsense"[..], b"GIF89a", b"BM is a prefix", b"\xFF\xD8\xFFtext"] {
        let reason = process(head).unwrap_err();
        assert!(matches!(reason, Reason::Damaged { .. } | Reason::Unsupported { .. }), "{reason:?}");
    }
}

#[test]
fn a_header_that_claims_too_much_is_refused_for_it() {
    let png = png_file(60_000, 60_000, [8, 2, 0], &[png_chunk(*b"IDAT", &stored_zlib(&[0; 64]))]);
    let mut jpeg = encode(quarters(64, 32), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    let mut bmp = encode(quarters(64, 32), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    let mut gif = encode(quarters(64, 32), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0x60, 0xEA, 0x60, 0xEA]);
    for (file, name) in [(png, "PNG"), (jpeg, "JPEG"), (bmp, "BMP"), (gif, "GIF")] {
        assert_eq!(
            process(&file),
            Err(Reason::TooManyPixels { width: 60_000, height: 60_000, max: 50_000_000 }),
            "{name}"
        );
    }
}

#[test]
fn an_image_that_the_functions_memory_cannot_hold_is_refused() {
    let limits = Limits { memory: Some(128 * 1024 * 1024), ..Limits::default() };
    let png = png_file(7000, 7000, [8, 2, 0], &[png_chunk(*b"IDAT", &stored_zlib(&[0; 64]))]);
    let reason = process_within(&png, &limits).unwrap_err();
    assert!(matches!(reason, Reason::TooMuchMemory { has_mb: 128, .. }), "{reason:?}");
    assert!(process_within(&encode(busy(200, 100), ImageFormat::Png), &limits).is_ok());
}

/// Files as other programs write them, which the `image` crate's encoders do not make.
const FOREIGN: [(&str, &[u8]); 7] = [
    ("progressive JPEG", include_bytes!("data/progressive.jpg")),
    ("CMYK JPEG", include_bytes!("data/cmyk.jpg")),
    ("lossy WebP", include_bytes!("data/lossy.webp")),
    ("lossy WebP with alpha", include_bytes!("data/lossy-alpha.webp")),
    ("animated GIF", include_bytes!("data/animated.gif")),
    ("TIFF, deflate", include_bytes!("data/deflate.tiff")),
    ("TIFF, LZW", include_bytes!("data/lzw.tiff")),
];

/// Files of each kind, for cutting and damaging.
fn samples() -> Vec<(String, Vec<u8>)> {
    let own =
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff]
            .map(|format| (format!("{format:?}"), encode(busy(40, 24), format)));
    let foreign = FOREIGN.map(|(name, file)| (name.to_owned(), file.to_vec()));
    own.into_iter().chain(foreign).collect()
}

/// Wherever a file is cut, it is refused, or nothing of the picture was missing.
#[test]
fn a_truncated_file_never_gives_another_picture() {
    for (name, file) in samples() {
        let whole = process_and_decode(&file);
        for end in (0..file.len()).step_by(7).chain(file.len() - 16..file.len()) {
            if let Ok(png) = process(&file[..end]) {
                let result = image::load_from_memory(&png).unwrap();
                assert!(result == whole, "{name} cut at {end} of {}", file.len());
            }
        }
        // Half of an animation holds its first picture whole.
        let half = process(&file[..file.len() / 2]);
        assert_eq!(half.is_ok(), name == "animated GIF", "{name} cut in half");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_files_give_an_answer(which in 0usize..13, damage in prop::collection::vec((0usize..4000, any::<u8>()), 1..8)) {
        let (_, mut file) = samples().swap_remove(which);
        for (at, byte) in damage {
            let length = file.len();
            file[at % length] = byte;
        }
        let limits = Limits { max_pixels: 1_000_000, ..Limits::default() };
        if let Ok(png) = process_within(&file, &limits) {
            let result = image::load_from_memory(&png).unwrap();
            prop_assert!(u64::from(result.width()) * u64::from(result.height()) <= 1_000_000);
        }
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = process(&bytes);
    }
}
