//! What the command line promises, as files: arguments in, exit code and messages out. No AWS is called.

#[test]
fn the_command_line_answers_as_its_files_say() {
    trycmd::TestCases::new()
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("LAB_OWNER", "ana")
        .case("tests/cmd/*.trycmd");
}
