//! What the command line promises, as files: help, plans, errors, exit codes. Nothing here calls AWS.
//!
//! After a wanted change: `TRYCMD=overwrite cargo nextest run -p lab-tests`, and read the difference.

#[test]
fn the_command_line_is_as_written() {
    let programs = lab_tests::find_programs();
    let cases = trycmd::TestCases::new();
    for program in ["net-up", "host-up", "pipeline-up", "upload-sample-image", "lab-status", "class-up", "lab-sim"] {
        cases.register_bin(program, programs.join(program));
    }
    cases.case("cmd/*.trycmd");
}
