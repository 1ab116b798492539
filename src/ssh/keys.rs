//! Keys of a lab, made by us: one to log in with, one for each node's SSH server, so that it can be pinned.

use crate::error::{Context, Result};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};

/// An ed25519 key pair in OpenSSH's forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    /// Secret.
    pub private: String,
    /// One line.
    pub public: String,
}

impl KeyPair {
    /// A new pair from the kernel's random numbers.
    pub fn generate(comment: &str) -> Result<Self> {
        let what = || "make an SSH key".to_owned();
        let mut seed = [0u8; 32];
        let mut filled = 0;
        while filled < seed.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled += rustix::rand::getrandom(&mut seed[filled..], flags).context(what)?;
        }
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        key.set_comment(comment);
        let private = key.to_openssh(LineEnding::LF).context(what)?.to_string();
        let public = key.public_key().to_openssh().context(what)?;
        Ok(Self { private, public })
    }
}

/// Reads a private key.
pub(super) fn private(text: &str) -> Result<PrivateKey> {
    russh::keys::decode_secret_key(text, None).context(|| "read the lab's SSH key".to_owned())
}

/// Reads a public key's line.
pub(super) fn public(text: &str) -> Result<PublicKey> {
    PublicKey::from_openssh(text).context(|| "read a node's host key".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_belong_together_and_differ() {
        let pair = KeyPair::generate("lab").unwrap();
        let read = private(&pair.private).unwrap();
        assert_eq!(read.public_key().key_data(), public(&pair.public).unwrap().key_data());
        assert!(pair.public.starts_with("ssh-ed25519 ") && pair.public.ends_with(" lab"));
        assert_ne!(KeyPair::generate("lab").unwrap().public, pair.public);
    }
}
