//! The certificates of the public listeners: their time, and those that an authority is asked for.
//!
//! That files hold a pair, and that hosts have one, is known already: `config` has read them.

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::{
    acme::{self, Look},
    clock::Timestamp,
    tls::{Age, Kept, Pair},
};

/// Looks at all certificates.
pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let Some(tls) = &around.settings.tls else { return Vec::new() };
    let now = around.clock.now();
    let renew = "renew it: the gateway takes the new files by itself, within seconds";
    let mut findings: Vec<_> = tls.certificates.iter().map(|kept| of_its_time(kept.pair(), now, renew)).collect();
    if let Some(settings) = &tls.acme {
        findings.extend(ordered(settings, &acme::look(settings).await, now));
    }
    findings
}

fn of_its_time(pair: &Pair, now: Timestamp, renew: &str) -> Finding {
    let until = pair.until();
    let finding = match pair.age(now) {
        Age::Good => Finding::well(Id::Certificate, format!("good until {until}")),
        Age::EndsSoon => Finding::ill(Id::CertificateExpiresSoon, format!("it ends at {until}"), renew),
        Age::Expired => {
            Finding::ill(Id::CertificateExpired, format!("it has ended at {until}, and browsers refuse it"), renew)
        }
        Age::Early => Finding::ill(
            Id::CertificateEarly,
            format!("it begins at {}, and browsers refuse it until then", pair.from()),
            "set this machine's clock, or use another certificate until then",
        ),
    };
    finding.about(pair.title())
}

/// What an authority is asked for, and what it has given.
fn ordered(settings: &acme::Settings, look: &Look, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![of_the_directory(settings, look)];
    let names: Vec<_> = settings.names.iter().map(|name| name.name()).collect();
    let certificate = match &look.kept {
        Some(Ok(kept)) => {
            let renew = "the running gateway renews it when two thirds of its life are over: its log says why it has \
                         not (acme_failed)";
            findings.extend(of_its_names(settings, kept));
            of_its_time(kept.pair(), now, renew)
        }
        Some(Err(why)) => Finding::ill(
            Id::CertificateUnusable,
            format!("the certificate that was ordered {why}"),
            "let the gateway's user read it; when it is damaged, delete it, and another is ordered",
        )
        .about(settings.folder.display().to_string()),
        None => Finding::ill(
            Id::CertificateNotOrdered,
            "there is none yet, and nobody gets in over HTTPS until there is",
            "start the gateway, which orders it: see that these names lead here, at port 443",
        )
        .about(names.join(" ")),
    };
    findings.push(certificate);
    if look.failures > 0 {
        let what = format!(
            "orders have failed since the last that did not, or one is under way: {}; none before {}",
            look.failures, look.not_before
        );
        let cure = "the log says why (acme_failed); to try at once after that is mended, stop the gateway, delete \
                    attempts.json in this folder, and start it";
        findings.push(Finding::ill(Id::AcmeFails, what, cure).about(settings.folder.display().to_string()));
    }
    findings
}

fn of_its_names(settings: &acme::Settings, kept: &Kept) -> Option<Finding> {
    let lacking: Vec<_> =
        settings.names.iter().filter(|name| !kept.pair().covers(name)).map(|name| name.name()).collect();
    (!lacking.is_empty()).then(|| {
        let what = "the certificate that was ordered is not for these hosts: browsers refuse it there";
        let cure = "restart the gateway, which orders another";
        Finding::ill(Id::CertificateLacksHost, what, cure).about(lacking.join(" "))
    })
}

fn of_the_directory(settings: &acme::Settings, look: &Look) -> Finding {
    let finding = match &look.directory {
        Ok(()) => Finding::well(Id::AcmeDirectory, "the authority's directory can be read"),
        Err(why) => Finding::ill(
            Id::AcmeDirectoryUnreachable,
            format!("the authority's directory cannot be read: {why}"),
            "see whether a firewall is in between; correct directory_url, or name the authority's own root in ca_file \
             ([server.tls.acme])",
        ),
    };
    finding.about(&settings.directory_url)
}
