//! What every status of a lab tells.

use lab_tests::LocalAws;

#[test]
fn an_open_nat_window_is_told_by_every_status_until_it_is_closed() {
    let aws = LocalAws::start(&["--state-times", "0"]);
    let _ = aws.run("net-up", &["up", "--yes"]).expect_code(0);
    let _ = aws.run("net-up", &["nat", "open", "--yes"]).expect_code(0);
    let programs: [(&str, &[&str]); 5] = [
        ("net-up", &["status"]),
        ("host-up", &["status"]),
        ("pipeline-up", &["status"]),
        ("vpn-setup", &["status"]),
        ("lab-status", &[]),
    ];
    for (program, arguments) in programs {
        let status = aws.run(program, arguments).expect_code(0);
        let told = status.stderr.matches("the NAT window is open").count();
        assert_eq!(told, 1, "{program}: {status:#?}");
        assert!(status.stderr.contains("$0.045 an hour") && status.stderr.contains("net-up nat close"), "{status:#?}");
    }
    let leaks = aws.run("lab-status", &["leaks", "--json"]).expect_code(1).json();
    let leaks = leaks["leaks"].as_array().expect("leaks").clone();
    let gateway = leaks.iter().find(|leak| leak["kind"] == "natgateway").expect("the gateway is left");
    assert_eq!((&gateway["remove"], &gateway["usd_per_hour"]), (&"net-up nat close".into(), &0.045.into()));

    let _ = aws.run("net-up", &["nat", "close"]).expect_code(0);
    for (program, arguments) in programs {
        let status = aws.run(program, arguments).expect_code(0);
        assert!(!status.stderr.contains("NAT window"), "{program}: {status:#?}");
    }
}
