// Package telemetry is what a server reports of itself in Prometheus' format.
//
// It promises that a scrape is bounded in time and that names, labels and units stay as
// docs/server.md lists them. It does not know what a run or a runner is, and is the only
// package that knows Prometheus.
package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics collects what a server observes.
type Metrics struct {
	registry *prometheus.Registry
	turns    prometheus.Histogram
	batches  prometheus.Histogram
	claims   prometheus.Histogram
	requests *prometheus.HistogramVec
}

// Sample is the value of a gauge at the moment of a scrape. All samples of a name have
// the same help and the same labels.
type Sample struct {
	Name, Help string
	Label      string // name of its one label; "" for none
	Of         string // value of the label
	Value      float64
}

// New makes metrics. read is asked for gauges at each scrape, within ten seconds; its
// error is part of the answer.
func New(version string, read func(context.Context) ([]Sample, error)) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		turns: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "refline_turn_seconds", Help: "How long a turn of the scheduler took, its commit included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "refline_turn_commands", Help: "How many commands a turn took at once.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		claims: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "refline_claim_seconds", Help: "From the offer of a job to its runner until the runner starts it.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "refline_http_request_seconds", Help: "Requests by route and status; streams and standing polls are left out.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"route", "status"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "refline_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.turns, m.batches, m.claims, m.requests, build, gauges{read},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Turn notes one turn.
func (m *Metrics) Turn(took time.Duration, commands int) {
	m.turns.Observe(took.Seconds())
	m.batches.Observe(float64(commands))
}

// Claim notes how long a runner took to start a job that it was offered.
func (m *Metrics) Claim(waited time.Duration) { m.claims.Observe(max(waited, 0).Seconds()) }

// Request notes an answered request. route is a pattern, never an address.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second, ErrorHandling: promhttp.ContinueOnError})
}

// gauges asks for samples at each scrape.
type gauges struct {
	read func(context.Context) ([]Sample, error)
}

var _ prometheus.Collector = gauges{}

// Describe says nothing: which samples there are is known at the scrape.
func (gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (g gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	samples, err := g.read(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(prometheus.NewDesc("refline_state", "The state of the server cannot be read.", nil, nil), err)
		return
	}
	for _, s := range samples {
		var names, values []string
		if s.Label != "" {
			names, values = []string{s.Label}, []string{s.Of}
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(s.Name, s.Help, names, nil), prometheus.GaugeValue, s.Value, values...)
	}
}
