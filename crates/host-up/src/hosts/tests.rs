use super::*;
use crate::testing::{Wire, live_with, running};

const ANEW: &str = "host-up down private && net-up nat -- host-up up private --wait-ready";

/// HOL 02's private host, whose console says this.
fn private(marker: Marker) -> Live {
    live_with([Instance { marker: Some(marker), ..running("private") }])
}

fn failed() -> Marker {
    Marker::Failed("E: no such package".into())
}

#[test]
fn a_private_host_whose_setup_has_failed_needs_no_window_but_another_host() {
    let session = Wire::default().session();
    let hosts = Hosts::to_make(&session, &["private".into()]).unwrap().waiting_for_ready();
    let live = private(failed());
    assert_eq!(hosts.find_hopeless(&live), []);
    assert_eq!(hosts.next(&live).as_deref(), Some(ANEW));
    let problem = hosts.settling(&live, Goal::Up).unwrap_err().to_string();
    assert!(problem.contains("E: no such package") && problem.contains(ANEW), "{problem}");

    let waiting = private(Marker::None);
    assert_eq!(hosts.find_hopeless(&waiting).len(), 1);
    assert_eq!(hosts.next(&waiting).as_deref(), Some("net-up nat -- host-up up private --wait-ready"));
    assert_eq!(hosts.next(&private(Marker::Ready)), None);
}

#[test]
fn a_public_host_whose_setup_has_failed_is_made_anew_without_a_window() {
    let session = Wire::default().session();
    let hosts = Hosts::to_make(&session, &["public".into()]).unwrap().waiting_for_ready();
    let live = live_with([Instance { marker: Some(failed()), ..running("public") }]);
    let problem = hosts.settling(&live, Goal::Up).unwrap_err().to_string();
    assert!(problem.contains("host-up down public && host-up up public --wait-ready"), "{problem}");
}

#[test]
fn status_tells_a_host_that_is_ready_from_one_that_is_not_yet_and_one_that_never_will_be() {
    let session = Wire::default().session();
    let check = |host: &str| Hosts::to_look_at(&session).unwrap().checking_ready(&[host.into()]).unwrap();
    let verdict = |live: &Live| check("private").verdict(live);
    assert_eq!(verdict(&private(Marker::Ready)), Ok(Exit::Done));
    assert_eq!(verdict(&private(Marker::None)), Ok(Exit::Changes));
    assert_eq!(verdict(&live_with([])), Ok(Exit::Changes));
    assert!(verdict(&private(failed())).is_err_and(|problem| problem.to_string().contains(ANEW)));
    // Nobody asked for the private host.
    assert_eq!(check("public").verdict(&private(failed())), Ok(Exit::Changes));
    assert_eq!(Hosts::to_look_at(&session).unwrap().verdict(&private(failed())), Ok(Exit::Done));
}
