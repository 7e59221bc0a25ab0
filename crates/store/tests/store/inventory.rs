//! Lists of certificates and orders.

use certmill_model::{CertificateStatus, KeyType, OrderStatus, TenantId};
use certmill_store::{CertificateFilter, CertificatePosition, Reach};

use crate::base::{Base, now};

#[tokio::test]
async fn certificates_and_orders_are_listed_page_by_page_to_whom_they_belong() {
    let base = Base::new().await;
    for number in 0..3 {
        let domain = base.put(&format!("shop-{number}.example.com")).await;
        let claimed = base.claim(domain).await.unwrap();
        let order = base.start_order(&claimed).await.unwrap();
        if number < 2 {
            base.issued(&claimed, order).await.unwrap();
        }
    }
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let filter = CertificateFilter { key_type: Some(KeyType::EcdsaP256), ..CertificateFilter::default() };
    let first = tx.list_certificates(&filter, None, 1).await.unwrap().remove(0);
    assert_eq!((first.status, first.authority.as_str()), (CertificateStatus::Issued, "https://ca.test/dir"));
    let after = first.position().to_string().parse::<CertificatePosition>().unwrap();
    let second = tx.list_certificates(&filter, Some(after), 9).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].certificate_id, first.certificate_id);
    let read = tx.certificate(first.certificate_id).await.unwrap().unwrap();
    assert_eq!(read.serial_number, first.serial_number);
    let served = tx.served_certificate(first.certificate_id).await.unwrap().unwrap();
    assert_eq!((served.fullchain.is_empty(), served.served_by), (false, 0));

    let all = tx.list_orders(None, None, None, 9).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|newer, older| newer.order_id > older.order_id));
    let rest = tx.list_orders(None, None, Some(all[0].order_id), 9).await.unwrap();
    assert_eq!(rest.len(), 2);
    let queued = tx.list_orders(Some(all[0].domain_id), Some(OrderStatus::Queued), None, 9).await.unwrap();
    assert_eq!(queued.len(), 1);
    assert_eq!(tx.order(all[1].order_id).await.unwrap().unwrap().names, all[1].names);

    let stranger = Reach::Tenant(TenantId::new(&base.chance, now()));
    let mut tx = base.api.read(stranger).await.unwrap();
    assert!(tx.list_orders(None, None, None, 9).await.unwrap().is_empty());
    assert!(tx.list_certificates(&CertificateFilter::default(), None, 9).await.unwrap().is_empty());
    assert!(tx.certificate(first.certificate_id).await.unwrap().is_none());
    assert!(tx.served_certificate(first.certificate_id).await.unwrap().is_none());
    assert!(tx.order(all[0].order_id).await.unwrap().is_none());
    assert!(tx.list_deployments(None, None, None, 9).await.unwrap().is_empty());
}
