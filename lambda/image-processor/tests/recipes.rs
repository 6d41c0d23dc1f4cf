//! What is made of an object: by the environment, by its metadata and tags, and again when that changes.

mod support;

use support::{FakeS3, invoke, invoke_with, png, settings_with};

fn own(s3: &FakeS3, key: &str, metadata: &[(&str, &str)], tags: &[(&str, &str)]) {
    let owned = |words: &[(&str, &str)]| words.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    s3.with(|world| {
        let object = world.objects.get_mut(&("in".into(), key.into())).unwrap();
        object.metadata = owned(metadata);
        object.tags = owned(tags);
    });
}

#[tokio::test]
async fn another_recipe_in_the_environment_makes_a_repeated_event_write_again() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    invoke(&s3, std::slice::from_ref(&record)).await.unwrap();
    let gray = || settings_with(&[("GRAYSCALE", "true")]);
    let again = invoke_with(gray(), &s3, std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(again.processed.len(), 1);
    assert_eq!(s3.result("a-processed.png").unwrap().metadata["recipe"], "format=png,grayscale=true");
    s3.take_calls();
    let third = invoke_with(gray(), &s3, &[record]).await.unwrap();
    assert_eq!(third.skipped[0].reason, "already processed");
    assert_eq!(s3.take_calls(), ["HeadObject a-processed.png"]);
}

#[tokio::test]
async fn an_objects_metadata_says_what_is_made_of_it() {
    let s3 = FakeS3::default();
    let record = s3.upload("a.png", png(1), "0A");
    own(&s3, "a.png", &[("image-format", "webp"), ("author", "ada")], &[("image-format", "jpeg")]);
    let made = invoke(&s3, std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(made.processed[0].output_key, "a-processed.webp");
    let result = s3.result("a-processed.webp").unwrap();
    assert_eq!(
        (result.metadata["recipe"].as_str(), result.metadata["recipe-asked"].as_str()),
        ("format=webp", "format=png")
    );
    s3.take_calls();
    assert_eq!(invoke(&s3, std::slice::from_ref(&record)).await.unwrap().skipped[0].reason, "already processed");
    assert_eq!(s3.writes(), 1);

    // Tags count only where they are asked for, and then more than metadata.
    let tagged = settings_with(&[("READ_TAGS", "true")]);
    let made = invoke_with(tagged, &s3, &[record]).await.unwrap();
    assert_eq!(made.processed[0].output_key, "a-processed.jpg");
}

#[tokio::test]
async fn a_bad_word_fails_its_object_alone() {
    let s3 = FakeS3::default();
    let records =
        [s3.upload("a.png", png(1), "0A"), s3.upload("b.png", png(1), "0B"), s3.upload("c.png", png(1), "0C")];
    own(&s3, "a.png", &[("image-width", "wide")], &[]);
    own(&s3, "b.png", &[("image-widht", "5")], &[]);
    let summary = invoke(&s3, &records).await.unwrap();
    assert_eq!(summary.processed.len(), 1);
    for (at, names) in [(0, "width"), (1, "image-widht")] {
        assert_eq!(summary.failed[at].reason, "bad_recipe");
        assert!(summary.failed[at].detail.contains(names), "{summary:?}");
    }
    assert_eq!(s3.report("a.png").unwrap()["reason"], "bad_recipe");
}

#[tokio::test]
async fn a_thumbnail_set_is_several_results_and_done_when_the_first_stands() {
    let s3 = FakeS3::default();
    let set = || settings_with(&[("SIZES", "2,4,5"), ("FORMAT", "jpeg")]);
    let record = s3.upload("f/a.png", png(1), "0A");
    s3.with(|world| world.faults.push(("PutObject", 503, "SlowDown")));
    invoke_with(set(), &s3, std::slice::from_ref(&record)).await.unwrap_err();
    assert!(s3.result("f/a-2-processed.jpg").is_none(), "the first is written last");
    let made = invoke_with(set(), &s3, std::slice::from_ref(&record)).await.unwrap();
    let keys: Vec<_> = made.processed.iter().map(|one| one.output_key.as_str()).collect();
    assert_eq!(keys, ["f/a-2-processed.jpg", "f/a-4-processed.jpg", "f/a-5-processed.jpg"]);
    for (key, side) in [(keys[0], 2), (keys[1], 4), (keys[2], 5)] {
        let picture = image::load_from_memory(&s3.result(key).unwrap().content).unwrap();
        assert_eq!(picture.width().max(picture.height()), side);
    }
    s3.take_calls();
    assert_eq!(invoke_with(set(), &s3, std::slice::from_ref(&record)).await.unwrap().skipped.len(), 1);
    assert_eq!(s3.take_calls(), ["HeadObject f/a-2-processed.jpg"]);

    let newer = s3.upload("f/a.png", png(2), "0B");
    assert_eq!(invoke_with(set(), &s3, &[newer]).await.unwrap().processed.len(), 3);
    for key in ["f/a-2-processed.jpg", "f/a-4-processed.jpg", "f/a-5-processed.jpg"] {
        assert_eq!(s3.result(key).unwrap().metadata["source-sequencer"], "0B");
    }
}
