//! The fault matrix (docs/RELIABILITY.md). Here a share of it runs; scripts/fault-matrix.sh runs all.

use lab_tests::matrix::{
    Way, run_act, run_gone, run_in_the_way, run_mended, run_stalled, run_two_ups, run_up_against_down,
};

macro_rules! acts {
    ($($name:ident: $way:ident $index:literal,)*) => {
        $(
            #[test]
            fn $name() {
                run_act(Way::$way, $index);
            }
        )*
    };
}

acts! {
    up_1_network: Up 0,
    up_2_public_host: Up 1,
    up_3_pipeline: Up 2,
    up_4_function: Up 3,
    up_5_trigger: Up 4,
    up_6_picture: Up 5,
    up_7_private_host: Up 6,
    up_8_vpn: Up 7,
    down_1_vpn: Down 0,
    down_2_window: Down 1,
    down_3_hosts: Down 2,
    down_4_pipeline: Down 3,
    down_5_network: Down 4,
    down_6_leaks: Down 5,
}

#[test]
fn hands_1_what_was_changed_behind_our_back_is_mended() {
    run_mended(0);
}

#[test]
fn hands_2_what_was_deleted_behind_our_back_is_made_again() {
    run_mended(1);
}

#[test]
fn hands_3_what_was_led_astray_behind_our_back_is_put_right() {
    run_mended(2);
}

#[test]
fn hands_4_what_stands_in_the_way_is_named_and_kept() {
    run_in_the_way();
}

#[test]
fn gone_1() {
    run_gone(0);
}

#[test]
fn gone_2() {
    run_gone(1);
}

#[test]
fn gone_3() {
    run_gone(2);
}

#[test]
fn gone_4() {
    run_gone(3);
}

#[test]
fn gone_5() {
    run_gone(4);
}

#[test]
fn two_1_machines_make_one_lab() {
    run_two_ups();
}

#[test]
fn two_2_up_against_down_leaves_what_the_last_one_wants() {
    run_up_against_down();
}

#[test]
fn stalled_1_up() {
    run_stalled(Way::Up);
}

#[test]
fn stalled_2_down() {
    run_stalled(Way::Down);
}
