//! The section `[app.route.allow]`.

use super::{
    report::{Entry, Fault, Report},
    section::Section,
};
use crate::{
    identity::{Organization, Subject},
    policy::Allow,
    web::Host,
};

/// Reads the people of a route.
pub(super) fn read(mut section: Section<'_>, report: &Report<'_>) -> Allow {
    let organizations = list(&mut section, "organizations", r#"["1f0e1d2c-…"]"#, |text| {
        Organization::parse(text).map_err(|why| Fault::new(why.to_string(), "write the claim org_id as Apple gives it"))
    });
    let users = list(&mut section, "users", r#"["000264.UDRo….RUtP"]"#, |text| {
        Subject::parse(text)
            .map_err(|why| Fault::new(why.to_string(), "write the claim sub as Apple gives it, letter by letter"))
    });
    let emails = list(&mut section, "emails", r#"["head@school.example"]"#, address);
    let email_domains = list(&mut section, "email_domains", r#"["school.example"]"#, domain);
    section.finish();
    if let Some(entry) = organizations.as_ref().filter(|entry| entry.value.iter().any(|one| one.as_str().contains('*')))
    {
        report.warn(&entry.place, "the star stands for itself here: each organization must be written in full");
    }
    if let Some(entry) = users.as_ref().filter(|entry| entry.value.iter().any(|one| one.as_str().contains(['*', '@'])))
    {
        report.warn(
            &entry.place,
            "users are the claim sub of Apple's, letter by letter: no star stands for several, and no email address is one",
        );
    }
    for (key, place) in [("emails", &emails), ("email_domains", &email_domains)] {
        if let Some(entry) = place.as_ref().filter(|entry| !entry.value.is_empty()) {
            let all = organizations.as_ref().is_some_and(|entry| !entry.value.is_empty());
            report.warn(&entry.place, managed_accounts(key, all));
        }
    }
    let values = |entry: Option<Entry<Vec<String>>>| entry.map(|entry| entry.value).unwrap_or_default();
    let in_no_domain = |address: &Entry<Vec<String>>, domains: &Entry<Vec<String>>| {
        let domain_of = |address: &String| address.split_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        !domains.value.is_empty()
            && !address.value.is_empty()
            && !address.value.iter().filter_map(domain_of).any(|one| domains.value.contains(&one))
    };
    if let (Some(addresses), Some(domains)) = (&emails, &email_domains)
        && in_no_domain(addresses, domains)
    {
        report.warn(
            &addresses.place,
            "nobody can pass: none of these addresses is in email_domains, and both must match",
        );
    }
    let place = [
        organizations.as_ref().map(|entry| &entry.place),
        users.as_ref().map(|entry| &entry.place),
        emails.as_ref().map(|entry| &entry.place),
        email_domains.as_ref().map(|entry| &entry.place),
    ];
    let place = place.into_iter().flatten().next().cloned();
    let allow = Allow {
        organizations: organizations.map(|entry| entry.value).unwrap_or_default(),
        users: users.map(|entry| entry.value).unwrap_or_default(),
        emails: values(emails),
        email_domains: values(email_domains),
    };
    if let Some(place) = place.filter(|_| allow.is_open()) {
        report
            .warn(&place, "an empty list keeps nobody out: anyone who signed in gets in; name somebody, or remove it");
    }
    allow
}

/// Apple, `id_token`: for Work & School users `email_verified` is false, and `org_id` is there for
/// nobody else.
fn managed_accounts(key: &str, with_organizations: bool) -> String {
    let reason = "Apple does not vouch for the address of a Managed Apple Account (email_verified is false), \
     and younger pupils have none";
    if with_organizations {
        format!("nobody can pass: {reason}, and only managed accounts have an organization; leave {key} out")
    } else {
        format!("managed accounts can never match {key}: {reason}; allow organizations or users instead")
    }
}

fn list<T>(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Option<Entry<Vec<T>>> {
    let entry = section.texts(key, example)?;
    Some(entry.map(|list| list.into_iter().filter_map(|text| Some(section.parse(text, &parse)?.value)).collect()))
}

fn address(text: &str) -> Result<String, Fault> {
    let whole = text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain_name(domain));
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if whole && visible {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        "is not one whole address",
        "write it like \"head@school.example\"; whole domains go into email_domains",
    ))
}

fn domain(text: &str) -> Result<String, Fault> {
    if domain_name(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let bare = text.rsplit(['@', '*']).next().unwrap_or_default().trim_start_matches('.');
    let cure = match bare != text && domain_name(bare) {
        true => format!("write \"{bare}\"; subdomains count as domains of their own"),
        false => "write a domain, such as \"school.example\"".to_owned(),
    };
    Err(Fault::new("is no domain", cure))
}

fn domain_name(text: &str) -> bool {
    Host::parse(text).is_ok_and(|host| host.port().is_none()) && !text.starts_with('[') && !text.ends_with('.')
}
