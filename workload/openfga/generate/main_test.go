package main

import (
	"os"
	"testing"
)

func TestTheGeneratedModelIsThatOfTheText(t *testing.T) {
	text, err := os.ReadFile("../model.fga")
	if err != nil {
		t.Fatal(err)
	}
	want, err := transform(string(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../generated/model.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("generated/model.json is not what model.fga says: run go generate ./workload/openfga\ngot:\n%s\nwant:\n%s", got, want)
	}
}
