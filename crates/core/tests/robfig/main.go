// Command cron-answers prints what github.com/robfig/cron/v3, the library that upstream uses, answers to random
// schedules: one line each of `schedule, zone, instant, next`, tab-separated. Instants are Unix seconds; next is one
// too, or `none`, or `error: ` with the library's text.
//
// The output is committed as answers.tsv and compared by crates/core/tests/cron_as_robfig.rs:
//
//	go run . -seed 20261124 -count 10000 >answers.tsv
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// Zones with every kind of clock: none, changes at one, two and three o'clock, at midnight, by half an hour, on both
// halves of the globe, offsets of quarters of an hour.
var zones = []string{
	"UTC", "Etc/UTC", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Europe/London", "Europe/Berlin", "Europe/Chisinau",
	"America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Santiago", "America/Havana", "Africa/Cairo",
	"Asia/Beirut", "Asia/Jerusalem", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Auckland",
}

type field struct {
	low, high int
	names     []string
}

var fields = []field{
	{0, 59, nil},
	{0, 23, nil},
	{1, 31, nil},
	{1, 12, strings.Fields("JAN FEB mar Apr MAY JUN jul AUG Sep OCT NOV dec")},
	{0, 6, strings.Fields("SUN mon Tue WED thu FRI Sat")},
}

func number(r *rand.Rand, f field) string {
	n := f.low + r.Intn(f.high-f.low+1)
	if f.names != nil && r.Intn(3) == 0 {
		return f.names[n-f.low]
	}
	return fmt.Sprint(n)
}

func entry(r *rand.Rand, f field) string {
	step := ""
	if r.Intn(4) == 0 {
		step = fmt.Sprintf("/%d", 1+r.Intn(f.high))
	}
	switch r.Intn(6) {
	case 0:
		return "*" + step
	case 1:
		a := f.low + r.Intn(f.high-f.low+1)
		return fmt.Sprintf("%d-%d%s", a, a+r.Intn(f.high-a+1), step)
	default:
		return number(r, f) + step
	}
}

func expression(r *rand.Rand, f field, loose int) string {
	if r.Intn(100) < loose {
		return []string{"*", "*", "*", "?"}[r.Intn(4)]
	}
	entries := []string{entry(r, f)}
	for r.Intn(4) == 0 {
		entries = append(entries, entry(r, f))
	}
	return strings.Join(entries, ",")
}

func schedule(r *rand.Rand) string {
	loose := []int{10, 20, 55, 60, 60}
	parts := make([]string, 0, 5)
	for i, f := range fields {
		parts = append(parts, expression(r, f, loose[i]))
	}
	return strings.Join(parts, " ")
}

// spoiled changes one character of a schedule, which most often makes it wrong.
func spoiled(r *rand.Rand, text string) string {
	const characters = "0123456789-/,*? aZ@=.\u00e9"
	runes := []rune(text)
	other := []rune(characters)
	at := r.Intn(len(runes))
	switch r.Intn(3) {
	case 0:
		runes[at] = other[r.Intn(len(other))]
	case 1:
		runes = append(runes[:at], runes[at+1:]...)
	default:
		runes = append(runes[:at], append([]rune{other[r.Intn(len(other))]}, runes[at:]...)...)
	}
	return string(runes)
}

func main() {
	seed := flag.Int64("seed", 20261124, "of the random numbers")
	count := flag.Int("count", 10000, "lines")
	flag.Parse()
	r := rand.New(rand.NewSource(*seed))
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for range *count {
		text := schedule(r)
		if r.Intn(10) == 0 {
			text = spoiled(r, text)
		}
		name := zones[r.Intn(len(zones))]
		zone, err := time.LoadLocation(name)
		if err != nil {
			panic(err)
		}
		instant := first + r.Int63n(last-first)
		fmt.Fprintf(out, "%s\t%s\t%d\t", text, name, instant)
		schedule, err := parser.Parse(text)
		if err != nil {
			fmt.Fprintf(out, "error: %s\n", err)
			continue
		}
		if next := schedule.Next(time.Unix(instant, 0).In(zone)); next.IsZero() {
			fmt.Fprintln(out, "none")
		} else {
			fmt.Fprintln(out, next.Unix())
		}
	}
}
