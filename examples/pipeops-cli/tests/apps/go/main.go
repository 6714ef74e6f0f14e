package main

import (
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
)

func main() {
	router := chi.NewRouter()
	router.Get("/", func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = answer.Write([]byte("version one"))
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), router))
}
