// Package sample makes the demo's data: plausible people, the same for the same number, with what
// breaks naive files: quotes, commas, line breaks, names outside ASCII, missing values, two e-mail addresses.
//
// Nobody in it exists. The one thing to know: record i is a function of i alone.
package sample

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// Schema is the JSON Schema of the people.
const Schema = `{
  "title": "Customer",
  "type": "object",
  "properties": {
    "crm": {"type": "object", "properties": {
      "customerId": {"type": "string", "title": "Customer number", "identity": {"namespace": "CRMID", "primary": true}}
    }},
    "person": {"type": "object", "properties": {
      "name": {"type": "object", "properties": {
        "firstName": {"type": "string", "title": "First name"},
        "lastName": {"type": "string", "title": "Last name"}
      }},
      "birthDate": {"type": "string", "format": "date", "title": "Birthday"}
    }},
    "personalEmail": {"type": "object", "properties": {
      "address": {"type": "string", "title": "Personal e-mail", "identity": {"namespace": "Email"}}
    }},
    "workEmail": {"type": "object", "properties": {
      "address": {"type": "string", "title": "Work e-mail", "identity": {"namespace": "Email"}}
    }},
    "homeAddress": {"type": "object", "properties": {
      "street1": {"type": "string", "title": "Street"},
      "city": {"type": "string", "title": "City"},
      "countryCode": {"type": "string", "title": "Country"}
    }},
    "loyalty": {"type": "object", "properties": {
      "tier": {"type": "string", "title": "Tier"},
      "points": {"type": "integer", "xdmType": "long", "title": "Points"}
    }},
    "lifetimeValue": {"type": "number", "title": "Lifetime value"},
    "optIn": {"type": "boolean", "title": "Newsletter"},
    "lastPurchase": {"type": "string", "format": "date-time", "title": "Last purchase"},
    "notes": {"type": "string", "title": "Notes"}
  }
}
`

// Namespace is the custom namespace of the customer numbers.
const Namespace = "CRMID"

// header is the paths of the fields, in the order of the columns.
func header() []string {
	return []string{"crm.customerId", "person.name.firstName", "person.name.lastName", "person.birthDate", "personalEmail.address", "workEmail.address",
		"homeAddress.street1", "homeAddress.city", "homeAddress.countryCode", "loyalty.tier", "loyalty.points", "lifetimeValue", "optIn", "lastPurchase", "notes"}
}

type place struct{ city, country, street string }

func firstNames() []string {
	return []string{"Anna", "Zoë", "José", "Łukasz", "Mária", "Søren", "Đặng", "Ülkü", "陽子", "Иван", "محمد", "Chloé", "Björn", "Ana María", "D'Arcy", "Renée", "Jürgen", "Fatima", "Nikolaos", "Maya"}
}

func lastNames() []string {
	return []string{"Müller", "O'Neill", "García, Jr.", "Nowak", "Horváth", "Sørensen", "Nguyễn", "Yılmaz", "佐藤", "Петров", "حسن", "Dupont", "Lindström", "de la Cruz", "Smith", `"Red" Jones`, "Weiß", "Khan", "Papadopoulos", "Rossi"}
}

func places() []place {
	return []place{{"Bern", "CH", "Bundesgasse"}, {"Zürich", "CH", "Bahnhofstrasse"}, {"München", "DE", "Sendlinger Straße"}, {"Köln", "DE", "Domkloster"}, {"Paris", "FR", "Rue de l'Université"},
		{"São Paulo", "BR", "Av. Paulista"}, {"大阪市", "JP", "御堂筋"}, {"Kraków", "PL", "ulica Floriańska"}, {"Austin, TX", "US", "Congress Ave"}, {"İstanbul", "TR", "İstiklal Caddesi"}, {"Reykjavík", "IS", "Laugavegur"}, {"Αθήνα", "GR", "Ερμού"}}
}

func remarks() []string {
	return []string{"", "", "", `calls it "the blue one"`, "prefers mail, not phone", "first line\nsecond line", "trailing blank ", "50% off; asked twice"}
}

// Profiles writes n people as CSV with a header.
func Profiles(w io.Writer, n int) error {
	b := bufio.NewWriterSize(w, 64<<10)
	c := csv.NewWriter(b)
	if err := c.Write(header()); err != nil {
		return err
	}
	for i := range n {
		if err := c.Write(person(i)); err != nil {
			return err
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return err
	}
	return b.Flush()
}

// person is record i.
func person(i int) []string {
	r := rand.New(rand.NewPCG(2024, uint64(i)))
	p := pick(r, places())
	sometimes := func(share float64, value string) string {
		if r.Float64() < share {
			return value
		}
		return ""
	}
	born := time.Date(1940, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(25000))
	bought := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(365*86400)) * time.Second)
	return []string{
		CustomerID(i), pick(r, firstNames()), pick(r, lastNames()), sometimes(0.9, born.Format(time.DateOnly)),
		sometimes(0.92, personalEmail(i)), sometimes(0.15, fmt.Sprintf("c%d@work.example", i)),
		sometimes(0.85, fmt.Sprintf("%s %d, %d. OG", p.street, 1+r.IntN(200), r.IntN(6))), p.city, p.country,
		sometimes(0.8, pick(r, []string{"bronze", "bronze", "bronze", "silver", "silver", "gold", "platinum"})), strconv.Itoa(r.IntN(20000)),
		sometimes(0.95, strconv.FormatFloat(float64(r.IntN(200000))/100, 'f', 2, 64)), strconv.FormatBool(r.Float64() < 0.6),
		sometimes(0.7, bought.Format(time.RFC3339)), pick(r, remarks()),
	}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// CustomerID is the customer number of person i, with leading zeros.
func CustomerID(i int) string { return fmt.Sprintf("%08d", i+1) }

func personalEmail(i int) string { return fmt.Sprintf("customer%d@example.com", i) }

// Import writes a list of n e-mail addresses for an audience import: every seventh person, and a few
// addresses that no person has.
func Import(w io.Writer, n int) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"email", "campaign"}); err != nil {
		return err
	}
	for i := 0; i < n; i += 7 {
		if err := c.Write([]string{personalEmail(i), "autumn"}); err != nil {
			return err
		}
	}
	for i := range 3 {
		if err := c.Write([]string{fmt.Sprintf("newcomer%d@example.com", i), "autumn"}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
