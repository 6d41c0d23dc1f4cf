//! What recipes make of images: sizes, colours, formats, orientation on every way through the engine.

mod corpus;

use corpus::{busy, corners, encode, jpeg_segment, quarters};
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use image_engine::{Depth, Engine, Fit, Format, Limits, Made, Recipe, Resize};

fn process(bytes: &[u8], recipe: &Recipe) -> Made {
    Engine::new().process(bytes, recipe, &Limits::default()).unwrap_or_else(|reason| panic!("{reason}"))
}

fn picture(bytes: &[u8], recipe: &Recipe) -> DynamicImage {
    image::load_from_memory(&process(bytes, recipe).pictures[0].bytes).unwrap()
}

fn resized(width: u32, height: u32, fit: Fit) -> Recipe {
    let resize = Resize { width: Some(width), height: Some(height), fit, enlarge: false };
    Recipe { resize: Some(resize), ..Recipe::default() }
}

fn exif(orientation: u8) -> Vec<u8> {
    [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation], b"\0\0\0\0\0\0"].concat()
}

const UPRIGHT: [(u8, &str); 8] =
    [(1, "rgbw"), (2, "grwb"), (3, "wbgr"), (4, "bwrg"), (5, "rbgw"), (6, "brwg"), (7, "wgbr"), (8, "gwrb")];

#[test]
fn orientation_is_applied_in_every_format_and_on_every_way() {
    let image = quarters(240, 120);
    for (orientation, seen) in UPRIGHT {
        let exif = exif(orientation);
        let jpeg = encode(image.clone(), ImageFormat::Jpeg);
        let segment = jpeg_segment(0xE1, &[b"Exif\0\0", &exif[..]].concat());
        let jpeg = [&jpeg[..2], &segment, &jpeg[2..]].concat();
        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif.clone()).unwrap();
        encoder.write_image(&image, 240, 120, ExtendedColorType::Rgb8).unwrap();
        let webp = |exif: Vec<u8>| {
            let mut webp = Vec::new();
            let mut encoder = WebPEncoder::new_lossless(&mut webp);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&image, 240, 120, ExtendedColorType::Rgb8).unwrap();
            webp
        };
        let with_prefix = webp([b"Exif\0\0", &exif[..]].concat());
        for file in [jpeg, png, webp(exif.clone()), with_prefix] {
            for format in [Format::Png, Format::Jpeg, Format::Webp] {
                // Even and odd sides: a JPEG's planes take one way or the other.
                for width in [None, Some(40), Some(41)] {
                    let resize =
                        width.map(|width| Resize { width: Some(width), height: None, fit: Fit::Fit, enlarge: false });
                    let recipe = Recipe { format, resize, ..Recipe::default() };
                    let made = picture(&file, &recipe);
                    assert_eq!(corners(&made), seen, "{orientation}, {format:?}, {width:?}");
                    let turned = orientation > 4;
                    assert_eq!(made.width() > made.height(), !turned);
                    if let Some(width) = width {
                        assert_eq!(made.width(), width);
                    }
                }
            }
        }
    }
}

#[test]
fn cover_shows_the_middle() {
    let image =
        RgbImage::from_fn(300, 100, |x, _| if (100..200).contains(&x) { Rgb([0, 200, 0]) } else { Rgb([200, 0, 0]) });
    for source in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp] {
        let made = picture(&encode(image.clone(), source), &resized(40, 40, Fit::Cover)).to_rgb8();
        assert_eq!(made.dimensions(), (40, 40));
        for (x, y) in [(3, 3), (36, 20), (20, 36)] {
            let [red, green, _] = made.get_pixel(x, y).0;
            assert!(green > 150 && red < 50, "{source:?} {:?}", made.get_pixel(x, y));
        }
    }
}

#[test]
fn a_set_has_its_sizes_and_never_enlarges() {
    let recipe = Recipe { sizes: vec![500, 30, 60], ..Recipe::default() };
    for source in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif] {
        let made = process(&encode(busy(90, 120), source), &recipe);
        let sides: Vec<_> = made.pictures.iter().map(|made| (made.size, made.width, made.height)).collect();
        assert_eq!(sides, [(Some(500), 90, 120), (Some(30), 23, 30), (Some(60), 45, 60)], "{source:?}");
    }
}

#[test]
fn colours_under_transparency_do_not_bleed() {
    // White where it shows, pure red where it does not.
    let image = RgbaImage::from_fn(64, 64, |x, _| if x / 2 % 2 == 0 { Rgba([255; 4]) } else { Rgba([255, 0, 0, 0]) });
    let made = picture(&encode(image, ImageFormat::Png), &resized(16, 16, Fit::Fit)).to_rgba8();
    for pixel in made.pixels().filter(|pixel| pixel.0[3] > 10) {
        assert!(pixel.0[1] > 240, "{pixel:?}");
    }
}

#[test]
fn a_background_shows_through_and_jpeg_has_white() {
    let clear = encode(RgbaImage::from_pixel(8, 8, Rgba([10, 20, 30, 0])), ImageFormat::Png);
    let blue = Recipe { background: Some([0, 0, 250]), ..Recipe::default() };
    let made = picture(&clear, &blue);
    assert!(!made.color().has_alpha());
    assert_eq!(made.to_rgb8().get_pixel(4, 4).0, [0, 0, 250]);
    let made = picture(&clear, &Recipe { format: Format::Jpeg, ..Recipe::default() }).to_rgb8();
    assert!(made.get_pixel(4, 4).0.iter().all(|&value| value > 250));
    // WebP keeps what is clear.
    assert_eq!(
        picture(&clear, &Recipe { format: Format::Webp, ..Recipe::default() }).to_rgba8().get_pixel(4, 4).0[3],
        0
    );
}

#[test]
fn grey_has_one_channel() {
    let recipe = |format| Recipe { grayscale: true, format, ..Recipe::default() };
    for source in [ImageFormat::Jpeg, ImageFormat::Png] {
        for format in [Format::Png, Format::Jpeg] {
            let made = picture(&encode(quarters(64, 32), source), &recipe(format));
            assert_eq!(made.color().channel_count(), 1, "{source:?} {format:?}");
            // BT.601: 0.299, 0.587, 0.114.
            for ((x, y), wanted) in [((5, 5), 76_u8), ((60, 5), 150), ((5, 28), 29), ((60, 28), 255)] {
                let seen = made.to_luma8().get_pixel(x, y).0[0];
                assert!(seen.abs_diff(wanted) <= 3, "{source:?} {format:?}: {seen} for {wanted}");
            }
        }
    }
}

#[test]
fn sixteen_bits_are_kept_or_not() {
    let deep = encode(DynamicImage::from(busy(20, 10)).into_rgb16(), ImageFormat::Png);
    let keep = picture(&deep, &resized(10, 5, Fit::Fit));
    assert_eq!(keep.color(), image::ColorType::Rgb16);
    let eight = picture(&deep, &Recipe { depth: Depth::Eight, ..Recipe::default() });
    assert_eq!(eight, DynamicImage::from(busy(20, 10)));
}

#[test]
fn quality_and_watermark_change_what_they_should() {
    let jpeg = encode(busy(300, 200), ImageFormat::Jpeg);
    let of = |quality, watermark: Option<&str>| {
        let recipe =
            Recipe { format: Format::Jpeg, quality, watermark: watermark.map(str::to_owned), ..Recipe::default() };
        process(&jpeg, &recipe).pictures.remove(0).bytes
    };
    assert!(of(30, None).len() < of(80, None).len());
    assert_ne!(of(80, None), of(80, Some("© Lab")));
}

#[test]
fn a_jpeg_scaled_in_its_decoder_is_as_good_as_one_decoded_whole() {
    // Smooth waves, as photographs have and decoders scale well.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
    let image = RgbImage::from_fn(800, 600, |x, y| {
        let wave = |by: f64| (127.5 + 120.0 * (f64::from(x) / by).sin() * (f64::from(y) / (by + 7.0)).cos()) as u8;
        Rgb([wave(31.0), wave(47.0), wave(23.0)])
    });
    let jpeg = encode(image.clone(), ImageFormat::Jpeg);
    for width in [60, 90, 150, 200, 290, 500] {
        let resize = Resize { width: Some(width), height: None, fit: Fit::Fit, enlarge: false };
        let recipe = Recipe { resize: Some(resize), ..Recipe::default() };
        let made = picture(&jpeg, &recipe).to_rgb8();
        let plain = image::imageops::resize(&image, made.width(), made.height(), image::imageops::FilterType::Lanczos3);
        let error: f64 = made.iter().zip(plain.iter()).map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2)).sum();
        let decibels = 10.0 * (255.0_f64.powi(2) * f64::from(made.width() * made.height() * 3) / error).log10();
        assert!(decibels > 34.0, "{width}: {decibels:.1} dB");
    }
}

#[test]
fn junk_between_a_jpegs_segments_is_stepped_over() {
    let jpeg = encode(busy(40, 24), ImageFormat::Jpeg);
    // Behind JFIF's segment, which takes 18 bytes.
    let junk = [&jpeg[..20], &[1, 2, 3, 4, 5][..], &jpeg[20..]].concat();
    assert_eq!(picture(&junk, &Recipe::default()), picture(&jpeg, &Recipe::default()));
}
