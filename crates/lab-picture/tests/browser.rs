//! What a real Chromium says of the pictures: light and dark, narrow and wide (`tests/browser/check.cjs`).

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]

mod samples;

use std::path::Path;
use std::process::Command;

use lab_picture::{arrange, to_svg};

const PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><style>body{margin:0;background:#fff}div{overflow-x:auto}\
                    svg{display:block;min-width:900px;width:100%;height:auto}\
                    @media(prefers-color-scheme:dark){body{background:#10161d}}</style>";

#[test]
fn a_real_browser_finds_no_text_over_another_cut_off_or_too_pale() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let modules = root.join("target/browser/node_modules");
    if !modules.join("playwright-core").is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no browser to test with: run scripts/setup.sh --tests");
        eprintln!("not tested: no playwright-core in {}", modules.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let urls = samples::all().into_iter().map(|(name, scene)| {
        let file = folder.path().join(name).with_extension("html");
        std::fs::write(&file, format!("{PAGE}<div>{}</div>", to_svg(&arrange(&scene)))).unwrap();
        format!("file://{}", file.display())
    });
    let urls: Vec<String> = urls.collect();
    let check = Command::new("node").arg(root.join("tests/browser/check.cjs")).arg(&modules).args(&urls).output();
    let output = check.expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[]");
}
