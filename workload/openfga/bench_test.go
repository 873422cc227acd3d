package openfga_test

import (
	"fmt"
	"testing"

	"jimm/workload/estate"
	"jimm/workload/postgres/cluster"
)

// benchmarked are 10,000 models of which alice has 1000, half of them by a
// group, and root all by way of their controller.
func benchmarked() []estate.Tuple {
	all := tuples(
		"controller:jimm controller controller:blue", "user:root@x administrator controller:jimm",
		"user:alice@x member group:eng",
	)
	for i := range 10_000 {
		model := fmt.Sprintf("model:m%d", i)
		all = append(all, tuple("controller:blue controller "+model))
		switch i % 20 {
		case 0:
			all = append(all, tuple("user:alice@x administrator "+model))
		case 1:
			all = append(all, tuple("group:eng#member reader "+model))
		default:
			all = append(all, tuple(fmt.Sprintf("user:u%d@x administrator %s", i, model)))
		}
	}
	return all
}

func BenchmarkPermissions(b *testing.B) {
	for _, adapter := range adapters {
		b.Run(adapter.name, func(b *testing.B) {
			p := adapter.open(b, cluster.ForTest(b).NewDatabase(b))
			write(b, p, benchmarked(), nil)
			alice := estate.User{Name: "alice@x"}
			b.Run("check of a model given directly", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), alice, estate.Administrator, object("model:m20")); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
			b.Run("check of a model by way of JIMM", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), estate.User{Name: "root@x"}, estate.Reader, object("model:m20")); err != nil || !ok {
						b.Fatal(ok, err)
					}
				}
			})
			b.Run("check of a model that is denied", func(b *testing.B) {
				for b.Loop() {
					if ok, err := p.Check(b.Context(), alice, estate.Reader, object("model:m2")); err != nil || ok {
						b.Fatal(ok, err)
					}
				}
			})
			var questions []estate.Question
			for i := range 50 {
				questions = append(questions, estate.Question{Relation: estate.Reader, Object: object(fmt.Sprintf("model:m%d", i))})
			}
			b.Run("check of 50 models", func(b *testing.B) {
				for b.Loop() {
					if _, err := p.CheckEach(b.Context(), alice, questions); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("list 1000 of 10,000 models", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListObjects(b.Context(), alice, estate.Reader, estate.KindModel); err != nil || len(ids) != 1000 {
						b.Fatal(len(ids), err)
					}
				}
			})
			b.Run("list all 10,000 models", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListObjects(b.Context(), estate.User{Name: "root@x"}, estate.Reader, estate.KindModel); err != nil || len(ids) != 10_000 {
						b.Fatal(len(ids), err)
					}
				}
			})
			b.Run("list users of a model", func(b *testing.B) {
				for b.Loop() {
					if ids, err := p.ListUsers(b.Context(), estate.Reader, object("model:m1")); err != nil || len(ids) != 2 {
						b.Fatal(ids, err)
					}
				}
			})
		})
	}
}
