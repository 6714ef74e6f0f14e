//! A minimal SSH agent for keys of this process, with the
//! [OpenSSH agent protocol](https://www.ietf.org/archive/id/draft-ietf-sshm-ssh-agent-05.html): it lists keys and signs.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pipeops_core::SecretString;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use ssh_key::PrivateKey;
use ssh_key::private::{EcdsaKeypair, KeypairData};

/// The longest message, as OpenSSH has it.
const LONGEST: usize = 256 << 10;

/// Messages, by their numbers.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// One private key.
pub(crate) struct Key {
    /// The public key, as the protocol writes it.
    public: Vec<u8>,
    comment: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    /// With the name of its kind.
    Ecdsa(EcdsaKeyPair, &'static str),
}

impl Key {
    /// Parses a key in the format of `ssh-keygen`. The error says why it can't be used.
    pub(crate) fn parse(text: &SecretString) -> Result<Self, String> {
        let text = text.expose().trim();
        if text.starts_with("-----BEGIN") && !text.starts_with("-----BEGIN OPENSSH") {
            return Err(
                "the key isn't in OpenSSH's format; `ssh-keygen -p -f FILE` converts it".to_owned(),
            );
        }
        // Copied text often lacks the last end of line, which the format has.
        let key = PrivateKey::from_openssh(format!("{text}\n"))
            .map_err(|error| format!("invalid key: {error}"))?;
        let pair = match key.key_data() {
            KeypairData::Ed25519(pair) => {
                let (seed, public) = (pair.private.to_bytes(), pair.public.0);
                Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map(Pair::Ed25519)
            }
            KeypairData::Ecdsa(pair) => ecdsa(pair)?,
            KeypairData::Encrypted(_) => {
                return Err(
                    "the key has a passphrase; `ssh-keygen -p -f FILE` removes it".to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "{} keys aren't supported without an agent; use ssh-ed25519 or ecdsa-sha2-nistp256",
                    key.algorithm()
                ));
            }
        };
        Ok(Self {
            public: key
                .public_key()
                .to_bytes()
                .map_err(|error| error.to_string())?,
            comment: key.comment().to_owned(),
            pair: pair
                .map_err(|error| format!("its public and private parts don't match: {error}"))?,
        })
    }

    fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        let mut signature = Vec::new();
        match &self.pair {
            Pair::Ed25519(pair) => {
                put(&mut signature, b"ssh-ed25519");
                put(&mut signature, pair.sign(data).as_ref());
            }
            Pair::Ecdsa(pair, name) => {
                let both = pair.sign(&SystemRandom::new(), data).ok()?;
                let (r, s) = both.as_ref().split_at(both.as_ref().len() / 2);
                let mut numbers = Vec::new();
                put_number(&mut numbers, r);
                put_number(&mut numbers, s);
                put(&mut signature, name.as_bytes());
                put(&mut signature, &numbers);
            }
        }
        Some(signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.comment)
    }
}

type Parsed = Result<Pair, ring::error::KeyRejected>;

fn ecdsa(pair: &EcdsaKeypair) -> Result<Parsed, String> {
    let (algorithm, name) = match pair {
        EcdsaKeypair::NistP256 { .. } => (&ECDSA_P256_SHA256_FIXED_SIGNING, "ecdsa-sha2-nistp256"),
        EcdsaKeypair::NistP384 { .. } => (&ECDSA_P384_SHA384_FIXED_SIGNING, "ecdsa-sha2-nistp384"),
        EcdsaKeypair::NistP521 { .. } => {
            return Err("ecdsa-sha2-nistp521 keys aren't supported without an agent".to_owned());
        }
    };
    let read = EcdsaKeyPair::from_private_key_and_public_key(
        algorithm,
        pair.private_key_bytes(),
        pair.public_key_bytes(),
        &SystemRandom::new(),
    );
    Ok(read.map(|pair| Pair::Ecdsa(pair, name)))
}

/// One conversation with the agent.
pub(crate) struct Conversation {
    keys: Vec<Arc<Key>>,
    /// What came and is no whole message yet.
    heard: BytesMut,
}

/// The other side doesn't speak the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoAgentMessage;

impl Conversation {
    pub(crate) fn new(keys: Vec<Arc<Key>>) -> Self {
        Self {
            keys,
            heard: BytesMut::new(),
        }
    }

    /// Adds received bytes. Returns the answers to the messages that they complete.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<Vec<u8>, NoAgentMessage> {
        self.heard.extend_from_slice(bytes);
        let mut answers = Vec::new();
        while self.heard.len() >= 4 {
            let length = (&self.heard[..4]).get_u32() as usize;
            if length == 0 || length > LONGEST {
                return Err(NoAgentMessage);
            }
            if self.heard.len() < 4 + length {
                break;
            }
            self.heard.advance(4);
            let message = self.heard.split_to(length).freeze();
            put(&mut answers, &self.answer(message));
        }
        Ok(answers)
    }

    fn answer(&self, mut message: Bytes) -> Vec<u8> {
        let answer = match message.get_u8() {
            REQUEST_IDENTITIES => Some(self.identities()),
            SIGN_REQUEST => self.signature(message),
            _ => None,
        };
        answer.unwrap_or_else(|| vec![FAILURE])
    }

    fn identities(&self) -> Vec<u8> {
        let mut answer = vec![IDENTITIES];
        answer.put_u32(self.keys.len() as u32);
        for key in &self.keys {
            put(&mut answer, &key.public);
            put(&mut answer, key.comment.as_bytes());
        }
        answer
    }

    fn signature(&self, mut message: Bytes) -> Option<Vec<u8>> {
        let (public, data) = (take(&mut message)?, take(&mut message)?);
        let key = self.keys.iter().find(|key| key.public == public)?;
        let mut answer = vec![SIGN_RESPONSE];
        put(&mut answer, &key.sign(&data)?);
        Some(answer)
    }
}

/// A text with its length before it.
fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.put_u32(text.len() as u32);
    out.put_slice(text);
}

/// A number: without zeros in front, except for one that keeps it positive.
fn put_number(out: &mut Vec<u8>, digits: &[u8]) {
    let begin = digits.iter().position(|digit| *digit != 0);
    let digits = &digits[begin.unwrap_or(digits.len())..];
    match digits.first() {
        Some(first) if first & 0x80 != 0 => put(out, &[&[0], digits].concat()),
        _ => put(out, digits),
    }
}

fn take(message: &mut Bytes) -> Option<Bytes> {
    let length = message.try_get_u32().ok()? as usize;
    (length <= message.len()).then(|| message.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

    use super::*;

    /// Made for this test by `ssh-keygen -t ed25519`, and used nowhere.
    const ED25519_KEY: &str = include_str!("testdata/ed25519");
    const ECDSA_KEY: &str = include_str!("testdata/ecdsa");
    const ENCRYPTED_KEY: &str = include_str!("testdata/encrypted");
    const RSA_KEY: &str = include_str!("testdata/rsa");

    fn key(text: &str) -> Arc<Key> {
        Arc::new(Key::parse(&text.into()).unwrap())
    }

    fn message(kind: u8, texts: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![kind];
        texts.iter().for_each(|text| put(&mut message, text));
        let mut framed = Vec::new();
        put(&mut framed, &message);
        framed
    }

    /// The answer without its length and kind.
    fn body(kind: u8, answer: Vec<u8>) -> Bytes {
        let mut answer = take(&mut answer.into()).unwrap();
        assert_eq!(answer.get_u8(), kind);
        answer
    }

    #[test]
    fn keys_are_named_however_the_question_is_cut() {
        let keys = vec![key(ED25519_KEY), key(ECDSA_KEY)];
        let mut whole = Conversation::new(keys.clone());
        let question = message(REQUEST_IDENTITIES, &[]);
        let answer = whole.hear(&question).unwrap();
        let mut named = body(IDENTITIES, answer.clone());
        assert_eq!(named.get_u32(), 2);
        assert_eq!(take(&mut named).unwrap(), keys[0].public);
        assert_eq!(take(&mut named).unwrap(), "ed25519@test");
        assert_eq!(take(&mut named).unwrap(), keys[1].public);

        let mut cut = Conversation::new(keys);
        let pieces = question.iter().map(|byte| cut.hear(&[*byte]).unwrap());
        assert_eq!(pieces.collect::<Vec<_>>().concat(), answer);
    }

    #[test]
    fn a_signature_is_one_of_the_key_that_was_asked_for() {
        let keys = vec![key(ECDSA_KEY), key(ED25519_KEY)];
        let mut agent = Conversation::new(keys.clone());
        let mut ask = |key: &Key| {
            let mut flags = message(SIGN_REQUEST, &[&key.public, b"data"]);
            flags.put_u32(0);
            let length = flags.len() as u32 - 4;
            flags[..4].copy_from_slice(&length.to_be_bytes());
            let answer = agent.hear(&flags).unwrap();
            let mut signature = take(&mut body(SIGN_RESPONSE, answer)).unwrap();
            (take(&mut signature).unwrap(), take(&mut signature).unwrap())
        };
        // The last text of a public key is the key itself.
        let raw = |key: &Key, length: usize| key.public[key.public.len() - length..].to_vec();

        let (kind, signature) = ask(&keys[1]);
        assert_eq!(kind, "ssh-ed25519");
        let public = UnparsedPublicKey::new(&ED25519, raw(&keys[1], 32));
        public.verify(b"data", &signature).unwrap();

        let (kind, mut numbers) = ask(&keys[0]);
        assert_eq!(kind, "ecdsa-sha2-nistp256");
        let mut both = Vec::new();
        for _ in 0..2 {
            let number = take(&mut numbers).unwrap();
            let digits: Vec<u8> = number
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect();
            both.extend(vec![0; 32 - digits.len()]);
            both.extend(digits);
        }
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw(&keys[0], 65));
        public.verify(b"data", &both).unwrap();
    }

    #[test]
    fn what_it_does_not_do_is_refused_and_what_is_no_message_ends_it() {
        let mut agent = Conversation::new(vec![key(ED25519_KEY)]);
        // Adding a key, removing all, and a signature by another key.
        for question in [
            message(17, &[b"x"]),
            message(19, &[]),
            message(SIGN_REQUEST, &[b"no", b"data"]),
        ] {
            assert_eq!(agent.hear(&question).unwrap(), [0, 0, 0, 1, FAILURE]);
        }
        assert_eq!(agent.hear(b"GET / HTTP/1.1"), Err(NoAgentMessage));
        assert_eq!(
            Conversation::new(Vec::new()).hear(&[0; 4]),
            Err(NoAgentMessage)
        );
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        for (text, why) in [
            ("no key", "invalid key"),
            (ENCRYPTED_KEY, "passphrase"),
            (RSA_KEY, "ssh-rsa keys aren't supported"),
            ("-----BEGIN RSA PRIVATE KEY-----\nAA\n", "OpenSSH's format"),
        ] {
            let error = Key::parse(&text.into()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let shown = format!("{:?}", key(ED25519_KEY));
        assert_eq!(shown, "Key(ed25519@test)");
    }

    #[test]
    fn numbers_are_short_and_positive() {
        let number = |digits: &[u8]| {
            let mut out = Vec::new();
            put_number(&mut out, digits);
            out
        };
        assert_eq!(number(&[0, 0, 5]), [0, 0, 0, 1, 5]);
        assert_eq!(number(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(number(&[0]), [0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>) {
            let mut agent = Conversation::new(vec![key(ED25519_KEY)]);
            let _ = agent.hear(&bytes);
            let _ = Conversation::new(vec![key(ED25519_KEY)]).hear(&message(SIGN_REQUEST, &[&bytes]));
        }
    }
}
