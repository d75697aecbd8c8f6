//! What an operator finds in the journal.

use serde_json::Value;

use crate::{
    machine::{Machine, eventually},
    school::School,
    support::{HOST, Request},
};

/// The entries of the gateway that a command finds.
fn entries(machine: &Machine, more: &str) -> Vec<Value> {
    let said = machine.run(&format!("journalctl --quiet --no-pager -u schoolgate -o json {more}"));
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A request is found by its number, whichever the format, and a warning by its level.
async fn is_found(school: &School) -> Value {
    let answer = Request::get("/page").header("Host", HOST).send(school.address).await;
    let number = answer.header("x-request-id").unwrap().to_owned();
    let found = eventually("the request is in the journal", || {
        entries(&school.machine, &format!("REQUEST_ID={number} EVENT=request")).pop()
    });
    for (field, expected) in [
        ("REQUEST_ID", &*number),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "schoolgate"),
        ("_SYSTEMD_UNIT", "schoolgate.service"),
        ("HOST", "library.school.example"),
        ("METHOD", "GET"),
        ("PATH", "/page"),
        ("STATUS", "401"),
        ("CLIENT", "127.0.0.1"),
    ] {
        assert_eq!(found[field], expected, "{field} of {found}");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_an_event_is_one_of_the_journal_in_both_formats() {
    let school = School::open(&[]).await;
    let said = is_found(&school).await;
    assert!(said["MESSAGE"].as_str().unwrap().contains("event=\"request\""), "{said}");
    let said = is_found_in_json(&school).await;
    let message: Value = serde_json::from_str(said["MESSAGE"].as_str().unwrap()).unwrap();
    assert_eq!((&message["event"], &message["status"]), (&Value::from("request"), &Value::from(401)));
    assert_eq!(message["request_id"], said["REQUEST_ID"]);
}

async fn is_found_in_json(school: &School) -> Value {
    school.write(&format!("{}\n[log]\nformat = \"json\"\n", school.configuration(&[])));
    school.machine.run("systemctl restart schoolgate");
    is_found(school).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_to_look_at_is_found_by_its_priority() {
    let school = School::open(&[]).await;
    assert_eq!(school.public().await.status, 200);
    assert_eq!(entries(&school.machine, "-p warning"), [Value::Null; 0]);
    school.write(&school.configuration(&[("server", "nonsense = 1")]));
    school.machine.run(&format!("kill -HUP {}", school.pid()));
    let found = eventually("it is in the journal", || {
        Some(entries(&school.machine, "-p warning EVENT=reload_refused")).filter(|found| !found.is_empty())
    });
    assert_eq!(found.len(), 1);
    let events: Vec<_> = entries(&school.machine, "-p warning").iter().map(|one| one["EVENT"].clone()).collect();
    assert_eq!(events, ["configuration_problem", "reload_refused"]);
}
