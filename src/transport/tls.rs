//! The TLS configuration. Verification can't be turned off.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore, SignatureScheme};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::HttpSettings;
use crate::message::Problem;
use crate::private_key::{Pem, escaped_line_breaks, lines};

/// Creates the TLS configuration. It reads all certificates now, so that connections can be set up
/// later without their files.
///
/// If no address uses https, `is_used` is `false`, and the system's root certificates aren't
/// needed.
///
/// # Errors
///
/// Returns a [`Problem`] for each invalid setting.
pub(super) fn config(
    settings: &HttpSettings,
    is_used: bool,
) -> Result<(ClientConfig, Arc<ClientIdentity>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wrong = |name: &str, why: &str| problems.push(unusable(name, why));
    let mut roots = Vec::new();
    for pem in &settings.root_certificates {
        match root_certificates(pem) {
            Ok(certificates) => roots.extend(certificates),
            Err(why) => wrong("root_certificate", &why),
        }
    }
    let identity = settings.client_certificate.as_ref().map(|pem| identity(pem)).transpose();
    let identity = identity.map_err(|why| wrong("client_certificate", &why));
    let mut pinned = RootCertStore::empty();
    if settings.is_pinned {
        if settings.root_certificates.is_empty() {
            wrong("only_given_root_certificates", "at least one root_certificate is required");
        }
        // Each certificate was checked above.
        pinned.add_parsable_certificates(std::mem::take(&mut roots));
    }
    let verifier = (is_used && !settings.is_pinned).then(|| verifier(roots)).transpose();
    let verifier = verifier.map_err(|error| {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let name =
            ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(is_set).unwrap_or("certificates");
        wrong(
            name,
            &format!("{error}; install the system's root certificates, or set a root_certificate"),
        );
    });
    let config =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| wrong("tls", &error.to_string()));
    match (identity, verifier, config) {
        (Ok(identity), Ok(verifier), Ok(config)) if problems.is_empty() => {
            let config = match verifier {
                Some(verifier) => {
                    config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
                }
                None => config.with_root_certificates(pinned),
            };
            let has_identity = identity.is_some();
            let identity = Arc::new(ClientIdentity(RwLock::new(identity.map(Arc::new))));
            let mut config = config.with_client_cert_resolver(identity.clone());
            if has_identity {
                // A resumed session would keep the certificate that it started with.
                config.resumption = Resumption::disabled();
            }
            let protocols: &[&[u8]] =
                if settings.is_http1_only { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Ok((config, identity))
        }
        _ => Err(problems),
    }
}

#[cold]
fn unusable(name: &str, why: &str) -> Problem {
    Problem::new(name, format!("can't be used: {why}"))
}

/// The client certificate for new connections, if there is one.
#[derive(Debug)]
pub(super) struct ClientIdentity(RwLock<Option<Arc<CertifiedKey>>>);

impl ClientIdentity {
    /// Replaces the certificate.
    ///
    /// # Errors
    ///
    /// Returns a [`Problem`] if the PEM is invalid, or if the transport was built without a client
    /// certificate.
    pub(super) fn rotate(&self, pem: &[u8]) -> Result<(), Problem> {
        let wrong = |why: &str| unusable("client_certificate", why);
        let new = identity(pem).map_err(|why| wrong(&why))?;
        match &mut *self.0.write().unwrap_or_else(PoisonError::into_inner) {
            Some(current) => *current = Arc::new(new),
            None => return Err(wrong("the transport was built without a client certificate")),
        }
        Ok(())
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current()
    }

    fn has_certs(&self) -> bool {
        self.current().is_some()
    }
}

/// Returns the process-wide crypto provider if one is installed, such as a certified module.
/// Otherwise returns aws-lc-rs.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// Creates a verifier that trusts the system's root certificates and `roots`.
fn verifier(roots: Vec<CertificateDer<'static>>) -> Result<Verifier, Error> {
    if roots.is_empty() {
        return Verifier::new(provider());
    }
    #[cfg(any(all(unix, not(target_os = "android")), windows))]
    return Verifier::new_with_extra_roots(roots, provider());
    #[cfg(not(any(all(unix, not(target_os = "android")), windows)))]
    Err(Error::General("additional root certificates aren't supported on this system".to_owned()))
}

fn root_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = certificates(pem)?;
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    Ok(certificates)
}

/// Reads the certificates in a PEM, which may have indented lines.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut plain = Vec::new();
    let mut is_certificate = false;
    // A private key in the same PEM is left out, because the parser would leave copies of it in
    // memory.
    for line in lines(pem) {
        is_certificate |= line == "-----BEGIN CERTIFICATE-----";
        if is_certificate {
            plain.extend_from_slice(line.as_bytes());
            plain.push(b'\n');
        }
        is_certificate &= line != "-----END CERTIFICATE-----";
    }
    let certificates = CertificateDer::pem_slice_iter(&plain).collect::<Result<Vec<_>, _>>();
    let certificates =
        certificates.map_err(|_| "a `CERTIFICATE` block is truncated or isn't base64")?;
    if certificates.is_empty() {
        let missing = "it contains no PEM block `CERTIFICATE`";
        return Err(escaped_line_breaks(pem).unwrap_or(missing).to_owned());
    }
    Ok(certificates)
}

/// Reads the client certificate and its private key.
fn identity(pem: &[u8]) -> Result<CertifiedKey, String> {
    let certificates = certificates(pem)?;
    let pem = Pem::read(pem)?;
    let key = match CryptoProvider::get_default() {
        // The provider gets a copy that can't be wiped here.
        Some(provider) => provider.key_provider.load_private_key(pem.der().clone_key()),
        None => aws_lc_rs::sign::any_supported_type(&pem.der()),
    };
    let identity = CertifiedKey::new(certificates, key.map_err(|error| error.to_string())?);
    match identity.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        Err(error) => Err(error.to_string()),
    }
}
