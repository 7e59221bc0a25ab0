use certmill_model::KeyType;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);

type Ca = CertifiedIssuer<'static, KeyPair>;

struct Chain {
    root: Ca,
    intermediate: Ca,
    key: PrivateKey,
}

impl Chain {
    async fn new() -> Self {
        Self::with_key(KeyType::EcdsaP256).await
    }

    async fn with_key(key_type: KeyType) -> Self {
        let root = Ca::self_signed(ca_params("root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate =
            Ca::signed_by(ca_params("intermediate"), KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, intermediate, key: PrivateKey::generate(key_type).await }
    }

    /// The chain of a leaf that differs from a right one in what `change` does.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = leaf_params();
        change(&mut params);
        let leaf = self.key.with_pair(|pair| params.signed_by(pair, &self.intermediate)).unwrap();
        format!("{}{}", leaf.pem(), self.intermediate.pem())
    }

    fn verify(&self, chain: &str) -> Result<IssuedCertificate, WrongCertificate> {
        verify_issued(chain, &self.key, &names(), NOW, Some(&self.roots()))
    }

    fn roots(&self) -> TrustedRoots {
        TrustedRoots::from_pem(&self.root.pem()).unwrap()
    }
}

fn names() -> Vec<Hostname> {
    ["shop.example.com", "www.shop.example.com"].map(|name| Hostname::parse(name).unwrap()).into()
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn leaf_params() -> CertificateParams {
    let names: Vec<_> = names().iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = NOW - Duration::hours(1);
    params.not_after = NOW + Duration::days(90);
    params.serial_number = Some(vec![0xab, 0xcd].into());
    params
}

#[tokio::test]
async fn what_was_ordered_is_accepted_and_described() {
    let chain = Chain::new().await;
    let issued = chain.verify(&chain.issue(|_| {})).unwrap();
    assert_eq!(issued.serial, "abcd");
    assert_eq!(issued.issuer, "CN=intermediate");
    assert_eq!(issued.not_after, NOW + Duration::days(90));
    assert_eq!(issued.fingerprint, <[u8; 32]>::from(Sha256::digest(&issued.leaf_der)));
    assert_eq!(issued.fullchain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(read_chain(&issued.fullchain_pem).unwrap()[0], issued.leaf_der);
}

#[tokio::test]
async fn a_certificate_for_another_key_is_refused() {
    let chain = Chain::new().await;
    let pem = chain.issue(|_| {});
    let other = PrivateKey::generate(KeyType::EcdsaP256).await;
    assert_eq!(verify_issued(&pem, &other, &names(), NOW, None), Err(WrongCertificate::OtherKey));
}

#[tokio::test]
async fn keys_of_every_type_are_told_apart() {
    for &key_type in KeyType::ALL {
        let chain = Chain::with_key(key_type).await;
        let pem = chain.issue(|_| {});
        assert!(chain.verify(&pem).is_ok(), "{key_type}");
        let other = PrivateKey::generate(key_type).await;
        assert_eq!(verify_issued(&pem, &other, &names(), NOW, None), Err(WrongCertificate::OtherKey));
    }
}

#[tokio::test]
async fn names_too_many_too_few_or_of_another_kind_are_refused() {
    let chain = Chain::new().await;
    let changes: [fn(&mut CertificateParams); 4] = [
        |params| params.subject_alt_names.clear(),
        |params| drop(params.subject_alt_names.pop()),
        |params| params.subject_alt_names.push(SanType::DnsName("evil.example".try_into().unwrap())),
        |params| params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into())),
    ];
    for change in changes {
        let error = chain.verify(&chain.issue(change)).unwrap_err();
        assert!(matches!(error, WrongCertificate::OtherNames { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_refusal_says_which_names_were_found() {
    let chain = Chain::new().await;
    let pem = chain.issue(|params| drop(params.subject_alt_names.pop()));
    assert_eq!(
        chain.verify(&pem).unwrap_err().to_string(),
        "the certificate is for shop.example.com, not for shop.example.com, www.shop.example.com"
    );
}

#[tokio::test]
async fn dates_that_do_not_hold_now_are_refused() {
    let chain = Chain::new().await;
    let changes: [fn(&mut CertificateParams); 3] = [
        |params| params.not_after = NOW,
        |params| params.not_before = NOW + Duration::hours(1),
        |params| (params.not_before, params.not_after) = (NOW, NOW - Duration::days(1)),
    ];
    for change in changes {
        let error = chain.verify(&chain.issue(change)).unwrap_err();
        assert!(matches!(error, WrongCertificate::Dates { .. }), "{error}");
    }
}

#[test]
fn a_date_at_the_end_of_time_is_one_that_can_be_counted_with() {
    for endless in [datetime!(9999-12-31 23:59:59 UTC), datetime!(9999-12-31 23:59:59 -1)] {
        assert_eq!(date(ASN1Time::new(endless)), LATEST);
    }
    let offset = date(ASN1Time::new(datetime!(2026-11-21 12:00:00 +2)));
    assert_eq!((offset, offset.offset()), (datetime!(2026-11-21 10:00:00 UTC), time::UtcOffset::UTC));
}

#[tokio::test]
async fn a_certificate_without_an_end_is_accepted() {
    let chain = Chain::new().await;
    let issued = chain.issue(|leaf| leaf.not_after = datetime!(9999-12-31 23:59:59 UTC));
    assert_eq!(chain.verify(&issued).unwrap().not_after, LATEST);
}

#[tokio::test]
async fn a_ca_whose_clock_is_a_little_ahead_is_believed() {
    let chain = Chain::new().await;
    let pem = chain.issue(|params| params.not_before = NOW + Duration::minutes(1));
    assert!(chain.verify(&pem).is_ok());
}

#[tokio::test]
async fn a_certificate_that_is_not_for_servers_is_refused() {
    let chain = Chain::new().await;
    let changes: [fn(&mut CertificateParams); 3] = [
        |params| params.extended_key_usages.clear(),
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
    ];
    for change in changes {
        assert_eq!(chain.verify(&chain.issue(change)), Err(WrongCertificate::NotForServers));
    }
}

#[tokio::test]
async fn a_chain_with_a_link_missing_foreign_or_in_disorder_is_refused() {
    let (chain, stranger) = (Chain::new().await, Chain::new().await);
    let pem = chain.issue(|_| {});
    let leaf = &pem[..pem.len() - chain.intermediate.pem().len()];
    let broken = [
        format!("{leaf}{}", stranger.intermediate.pem()),
        format!("{leaf}{}", chain.root.pem()),
        format!("{pem}{}", stranger.root.pem()),
        format!("{pem}{leaf}"),
    ];
    for pem in broken {
        let error = chain.verify(&pem).unwrap_err();
        assert!(matches!(error, WrongCertificate::BrokenChain(_)), "{error}");
    }
    assert!(matches!(chain.verify(leaf), Err(WrongCertificate::Untrusted(_))));
    assert!(chain.verify(&format!("{pem}{}", chain.root.pem())).is_ok());
}

#[tokio::test]
async fn a_chain_to_another_root_is_refused_where_roots_are_given() {
    let (chain, stranger) = (Chain::new().await, Chain::new().await);
    let pem = chain.issue(|_| {});
    let strange_roots = stranger.roots();
    let verify = |roots| verify_issued(&pem, &chain.key, &names(), NOW, roots);
    assert!(matches!(verify(Some(&strange_roots)), Err(WrongCertificate::Untrusted(_))));
    assert!(verify(None).is_ok());
}

#[tokio::test]
async fn keys_and_texts_beside_the_chain_are_refused() {
    let chain = Chain::new().await;
    let pem = chain.issue(|_| {});
    for bad in [format!("{pem}{}", *chain.key.to_pem()), format!("# chain\n{pem}"), String::new()] {
        assert_eq!(chain.verify(&bad), Err(WrongCertificate::NotAChain));
    }
}
