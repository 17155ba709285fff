//! Certificates and keys in PEM files.

use std::path::Path;

use rustls_pki_types::pem::{Error, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file in their order, one at least.
///
/// # Errors
/// The file cannot be read, holds something malformed, or no certificate ([`Error::NoItemsFound`]).
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(Error::NoItemsFound);
    }
    Ok(certificates)
}

/// The first private key of a file.
///
/// # Errors
/// The file cannot be read, holds something malformed, or no key without a passphrase ([`Error::NoItemsFound`]).
pub fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_section_is_none_and_one_that_is_missing_is_an_error_of_its_own() {
        let empty = Path::new("/dev/null");
        assert!(matches!(read_certificates(empty), Err(Error::NoItemsFound)));
        assert!(matches!(read_private_key(empty), Err(Error::NoItemsFound)));
        let missing = Path::new("/nowhere/chain.pem");
        assert!(matches!(read_certificates(missing), Err(Error::Io(_))));
    }
}
