//! The cryptography behind TLS: one provider for the whole process.

/// Makes aws-lc-rs the provider of all TLS in this process; again changes nothing.
///
/// rustls is linked with two providers, because pingora brings ring along, and it panics when it has to choose.
/// Whoever is about to configure TLS calls this first.
pub fn install() {
    // An error says that there is one already, and it is this one: nobody else installs any before us.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::CryptoProvider;

    #[test]
    fn there_is_one_provider_and_it_is_ours() {
        install();
        install();
        let installed = format!("{:?}", CryptoProvider::get_default().unwrap().key_provider);
        assert_eq!(installed, format!("{:?}", rustls::crypto::aws_lc_rs::default_provider().key_provider));
    }
}
