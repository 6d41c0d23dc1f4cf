//! Every page of help of every program: it fits a terminal, its words are the same everywhere.

use clap::Command;
use lab_manual::{list_pages, list_programs};

fn pages() -> impl Iterator<Item = Command> {
    list_programs().into_iter().flat_map(list_pages)
}

fn name(page: &Command) -> String {
    page.get_bin_name().unwrap_or_else(|| page.get_name()).to_owned()
}

#[test]
fn every_page_fits_80_columns() {
    for page in pages() {
        for help in [page.clone().render_help(), page.clone().render_long_help()] {
            let help = help.to_string();
            let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{}: {long:#?}", name(&page));
        }
    }
}

#[test]
fn at_40_columns_only_what_cannot_be_broken_is_wider() {
    for page in pages() {
        let help = page.clone().term_width(40).render_help().to_string();
        // Examples stand as they are to be typed.
        let own = help.split("\nExamples:").next().unwrap_or_default();
        let program = name(&page);
        let is_usage = |line: &&str| line.trim_start().trim_start_matches("Usage: ").starts_with(&program);
        let is_long = |line: &&str| line.chars().count() > 40 && !line.trim_start().starts_with(['-', '[', '<']);
        let long: Vec<_> = own.lines().filter(is_long).filter(|line| !is_usage(line)).collect();
        assert!(long.is_empty(), "{}: {long:#?}\n{help}", name(&page));
    }
}

#[test]
fn every_program_has_examples_and_groups_its_options() {
    for program in list_programs() {
        let mut program = program;
        program.build();
        let after = program.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.starts_with("Examples:\n"), "{}", program.get_name());
        assert!(after.contains("Exit code"), "{} does not say how it ends", program.get_name());
        for option in program.get_arguments().filter(|option| option.is_global_set()) {
            assert!(option.get_help_heading().is_some(), "{} --{} is in no group", program.get_name(), option.get_id());
        }
    }
}

#[test]
fn an_option_says_the_same_in_every_program() {
    let mut said = std::collections::BTreeMap::<String, (String, String)>::new();
    for program in list_programs() {
        for option in program.get_arguments().filter(|option| option.is_global_set()) {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            let (who, first) = said
                .entry(option.get_id().to_string())
                .or_insert_with(|| (program.get_name().to_owned(), help.clone()));
            // A class names owners and Regions by its roster.
            if option.get_id() != "region" {
                assert_eq!(*first, help, "--{} in {who} and in {}", option.get_id(), program.get_name());
            }
        }
    }
}

#[test]
fn every_page_and_every_option_says_what_it_is() {
    for page in pages() {
        assert!(page.get_about().is_some(), "{}", name(&page));
        for option in page.get_arguments().filter(|option| !option.is_hide_set()) {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{}: {}", name(&page), option.get_id());
            assert!(!help.ends_with('.'), "{}: {} ends with a full stop", name(&page), option.get_id());
        }
    }
}
