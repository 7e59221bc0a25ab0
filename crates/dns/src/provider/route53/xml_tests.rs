use proptest::prelude::*;

use super::*;

const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
   <ResourceRecordSets>
      <ResourceRecordSet>
         <Name>k7.acme.example.</Name><Type>TXT</Type><TTL>300</TTL>
         <ResourceRecords>
            <ResourceRecord><Value>"one"</Value></ResourceRecord>
            <ResourceRecord><Value>&quot;a &lt;b&gt; &amp; \"c\"&quot;</Value></ResourceRecord>
         </ResourceRecords>
      </ResourceRecordSet>
   </ResourceRecordSets>
   <IsTruncated>true</IsTruncated><NextRecordName>next.acme.example.</NextRecordName><MaxItems>1</MaxItems>
</ListResourceRecordSetsResponse>"#;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn a_record_set_is_read_as_it_was_written() {
    let set = record_set(&bytes(LIST), "k7.acme.example").unwrap().unwrap();
    assert_eq!((set.ttl, set.values.as_slice()), (300, &["\"one\"".to_owned(), quoted("a <b> & \"c\"")][..]));
    let batch = change_batch("k7.acme.example", None, &set);
    let place = batch.find("<ResourceRecordSet>").unwrap();
    let list = format!("<L><ResourceRecordSets>{}", batch[place..].split("</Change>").next().unwrap());
    let again =
        record_set(&bytes(&format!("{list}</ResourceRecordSets></L>")), "k7.acme.example").unwrap().unwrap();
    assert_eq!((again.ttl, again.values), (set.ttl, set.values));
}

#[test]
fn the_next_name_in_order_is_not_the_one_that_was_asked_for() {
    for other in ["a.acme.example", "k7.acme.exampl", "next.acme.example"] {
        assert!(record_set(&bytes(LIST), other).unwrap().is_none(), "{other}");
    }
    let empty = LIST.replace("k7.acme", "k8.acme");
    assert!(record_set(&bytes(&empty), "k7.acme.example").unwrap().is_none());
    assert!(record_set(&bytes("<L><ResourceRecordSets/></L>"), "k7.acme.example").unwrap().is_none());
}

#[test]
fn both_forms_of_errors_are_read() {
    let usual = "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded\
        </Message></Error><RequestId>1</RequestId></ErrorResponse>";
    let refusal = error(&bytes(usual));
    assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("Throttling", "Rate exceeded"));
    let batch = "<InvalidChangeBatch xmlns=\"x\"><Messages><Message>a</Message><Message>b</Message></Messages>\
        </InvalidChangeBatch>";
    let refusal = error(&bytes(batch));
    assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("InvalidChangeBatch", "a b"));
    assert_eq!(error(&bytes("<html><p>no")).code, "");
}

proptest! {
    #[test]
    fn no_answer_makes_us_panic(text in ".{0,400}") {
        let _ = record_set(&bytes(&text), "k7.acme.example");
        let _ = error(&bytes(&text));
    }

    #[test]
    fn no_mutilated_answer_makes_us_panic(at in 0_usize..LIST.len(), by in "[<>&;/a\"]{0,3}", cut in 0_usize..LIST.len()) {
        let (start, end) = LIST.split_at(at);
        let text = format!("{start}{by}{end}");
        let _ = record_set(&bytes(&text[..cut]), "k7.acme.example");
        let _ = record_set(&bytes(&text), "k7.acme.example");
    }
}
