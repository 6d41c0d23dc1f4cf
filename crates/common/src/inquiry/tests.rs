use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Answers each call with `status` and how many there have been, after one turn of the others.
#[derive(Debug, Default)]
struct Aws {
    status: AtomicUsize,
    calls: Arc<AtomicUsize>,
}

impl HttpConnector for Aws {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let (status, calls) = (self.status.load(Ordering::SeqCst), Arc::clone(&self.calls));
        HttpConnectorFuture::new(async move {
            let nth = calls.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            let status = StatusCode::try_from(u16::try_from(status).unwrap()).unwrap();
            Ok(HttpResponse::new(status, SdkBody::from(format!("InvalidSubnetID.NotFound, call {nth}"))))
        })
    }
}

struct Way {
    inquiry: Inquiry,
    asking: AskingConnector,
    calls: Arc<AtomicUsize>,
}

impl Way {
    fn answering(status: usize) -> Self {
        let aws = Aws { status: status.into(), ..Aws::default() };
        let (inquiry, calls) = (Inquiry::default(), Arc::clone(&aws.calls));
        let asking = AskingConnector { inner: SharedHttpConnector::new(aws), memory: Arc::clone(&inquiry.memory) };
        Self { inquiry, asking, calls }
    }

    fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn ask(&self, body: &'static str, date: &'static str) -> String {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.headers_mut().insert("x-amz-date", date);
        let response = self.asking.call(request).await.unwrap();
        String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap()
    }
}

#[tokio::test]
async fn within_a_look_a_question_is_asked_once_whenever_it_was_signed() {
    let way = Way::answering(200);
    let (one, other, different) =
        tokio::join!(way.ask("Vpcs", "10:00"), way.ask("Vpcs", "10:01"), way.ask("Subnets", "10:00"));
    assert_eq!(one, other);
    assert_ne!(one, different);
    assert_eq!(way.ask("Vpcs", "10:02").await, one);
    assert_eq!(way.count(), 2);
}

#[tokio::test]
async fn the_next_look_asks_anew_and_everything_at_once() {
    let way = Way::answering(200);
    let before = way.ask("Vpcs", "10:00").await;
    let _ = way.ask("Rules of what was found", "10:00").await;
    way.inquiry.begin();
    // The second question goes out although nobody has asked it yet.
    while way.count() < 4 {
        tokio::task::yield_now().await;
    }
    assert_ne!(way.ask("Vpcs", "10:10").await, before);
    assert_eq!(way.count(), 4);
    // What nobody asked any more is not asked for ever.
    way.inquiry.begin();
    way.inquiry.begin();
    let _ = way.ask("Vpcs", "10:20").await;
    assert_eq!(way.count(), 6);
}

#[tokio::test]
async fn that_something_is_not_there_is_an_answer_for_all_and_a_refusal_is_not() {
    for (status, calls) in [(400, 1), (404, 1), (403, 2), (429, 2), (500, 2), (503, 2)] {
        let way = Way::answering(status);
        let _ = tokio::join!(way.ask("Vpcs", "10:00"), way.ask("Vpcs", "10:00"));
        assert_eq!(way.count(), calls, "{status}");
    }
}
