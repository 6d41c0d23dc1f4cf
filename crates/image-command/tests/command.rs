//! The command as a user sees it: files, streams, exit codes.

use std::ffi::OsString;

/// A grey BMP of 4×2 pixels.
fn bmp() -> Vec<u8> {
    let mut file = b"BM".to_vec();
    file.extend(78_u32.to_le_bytes());
    file.extend([0; 4]);
    file.extend(54_u32.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(4_u32.to_le_bytes());
    file.extend(2_u32.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file.extend([90; 24]);
    file
}

struct Ran {
    code: u8,
    out: Vec<u8>,
    err: String,
}

fn run(arguments: &[&str], input: &[u8]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("image-processor").chain(arguments.iter().copied()).map(OsString::from);
    let code = image_command::run_with(arguments, &mut &input[..], &mut out, &mut err);
    Ran { code, out, err: String::from_utf8(err).unwrap() }
}

#[test]
fn streams_carry_pictures() {
    let ran = run(&["--in", "-", "--out", "-"], &bmp());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with(b"\x89PNG"));
    let ran = run(&["--in", "-", "--out", "-", "--format", "jpeg", "--json"], &bmp());
    assert!(ran.out.starts_with(b"\xFF\xD8"));
    assert!(ran.err.contains("\"width\":4"), "{}", ran.err);
}

#[test]
fn files_are_named_by_their_sizes_and_the_format_by_their_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (source, wanted) = (folder.path().join("a.bmp"), folder.path().join("a.webp"));
    std::fs::write(&source, bmp()).unwrap();
    let (source, wanted) = (source.to_str().unwrap(), wanted.to_str().unwrap());
    let ran = run(&["--in", source, "--out", wanted, "--sizes", "2,3", "--json"], b"");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let report: serde_json::Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!(report["pictures"][0]["width"], 2);
    assert_eq!(report["pictures"][1]["size"], 3);
    for size in [2, 3] {
        let file = std::fs::read(folder.path().join(format!("a-{size}.webp"))).unwrap();
        assert!(file.starts_with(b"RIFF"));
    }
}

#[test]
fn refusals_and_wrong_usage_have_their_codes() {
    let ran = run(&["--in", "-", "--out", "-"], b"no image");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("image-processor: not_an_image: "), "{}", ran.err);
    let ran = run(&["--in", "-", "--out", "-", "--max-pixels", "7"], &bmp());
    assert!(ran.code == 1 && ran.err.contains("too_many_pixels"), "{}", ran.err);
    let ran = run(&["--in", "/no/such/file", "--out", "-"], b"");
    assert!(ran.code == 1 && ran.err.contains("/no/such/file"), "{}", ran.err);
    for (arguments, says) in [
        (&["--in", "-"][..], "--out"),
        (&["--in", "-", "--out", "-", "--width", "0"][..], "--width is \"0\""),
        (&["--in", "-", "--out", "-", "--sizes", "1,2"][..], "one picture"),
        (&["picture.png"][..], "unexpected"),
    ] {
        let ran = run(arguments, &bmp());
        assert!(ran.code == 2 && ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn help_fits_a_narrow_terminal() {
    let ran = run(&["--help"], b"");
    let help = String::from_utf8(ran.out).unwrap();
    assert_eq!(ran.code, 0);
    assert!(help.contains("Examples:"));
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
