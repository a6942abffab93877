// libwebrtc's NetEQ in virtual time.
//
//   neteq PACKETS PHASE_US BASE_MIN_MS UNTIL_MS [PCM]
//
// PACKETS has a line for each packet that comes, in the order they come: when (microseconds), sequence number, timestamp,
// payload (hex). NetEQ is asked for 10 ms each 10 ms, the first time at PHASE_US; for each of these periods a line is
// printed: the timestamp of its first sample (or -), and what NetEQ has counted so far, in samples: concealed, of these
// silent, stretched; and the sum of the samples' delays (ms) and their number. PCM gets the sound, 16 bit, 48 kHz.
//
// What is set is what Chromium sets (audio/channel_receive.cc); what is not, is libwebrtc's default.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "api/audio/audio_frame.h"
#include "api/audio_codecs/audio_decoder_factory_template.h"
#include "api/audio_codecs/opus/audio_decoder_opus.h"
#include "api/environment/environment_factory.h"
#include "api/neteq/default_neteq_factory.h"
#include "api/task_queue/default_task_queue_factory.h"
#include "system_wrappers/include/clock.h"

namespace webrtc {

// An environment asks for one; nothing here uses it.
std::unique_ptr<TaskQueueFactory> CreateDefaultTaskQueueFactory(const FieldTrialsView*) {
  struct None : TaskQueueFactory {
    std::unique_ptr<TaskQueueBase, TaskQueueDeleter> CreateTaskQueue(absl::string_view, Priority) const override {
      std::abort();
    }
  };
  return std::make_unique<None>();
}

}  // namespace webrtc

using namespace webrtc;

namespace {

struct Packet {
  int64_t arrival_us;
  RTPHeader header;
  std::vector<uint8_t> payload;
};

std::vector<Packet> Read(const char* file) {
  std::vector<Packet> packets;
  std::ifstream in(file);
  std::string line, hex;
  while (std::getline(in, line)) {
    Packet packet;
    std::istringstream fields(line);
    fields >> packet.arrival_us >> packet.header.sequenceNumber >> packet.header.timestamp >> hex;
    packet.header.payloadType = 111;
    packet.header.ssrc = 1;
    for (size_t at = 0; at + 1 < hex.size(); at += 2)
      packet.payload.push_back(std::stoi(hex.substr(at, 2), nullptr, 16));
    packets.push_back(packet);
  }
  return packets;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const std::vector<Packet> packets = Read(argv[1]);
  const int64_t phase_us = std::atoll(argv[2]), until_us = std::atoll(argv[4]) * 1000;
  std::FILE* pcm = argc > 5 ? std::fopen(argv[5], "wb") : nullptr;

  // Late enough that no packet comes before the beginning of time.
  SimulatedClock clock(Timestamp::Seconds(1000));
  NetEq::Config config;
  config.enable_muted_state = true;
  auto neteq = DefaultNetEqFactory().Create(CreateEnvironment(static_cast<Clock*>(&clock)), config,
                                            CreateAudioDecoderFactory<AudioDecoderOpus>());
  neteq->SetCodecs({{111, SdpAudioFormat("opus", 48000, 2, {{"minptime", "10"}, {"useinbandfec", "1"}})}});
  if (!neteq->SetBaseMinimumDelayMs(std::atoi(argv[3]))) return 3;

  int64_t passed_us = 0;
  const auto advance = [&](int64_t to_us) {
    clock.AdvanceTimeMicroseconds(to_us - passed_us);
    passed_us = to_us;
  };
  size_t next = 0;
  for (int64_t now_us = phase_us; now_us < until_us; now_us += 10'000) {
    for (; next < packets.size() && packets[next].arrival_us <= now_us; ++next) {
      advance(packets[next].arrival_us);
      neteq->InsertPacket(packets[next].header, packets[next].payload, clock.CurrentTime());
    }
    advance(now_us);
    AudioFrame frame;
    if (neteq->GetAudio(&frame) != NetEq::kOK || frame.sample_rate_hz() != 48'000) return 4;
    const std::optional<uint32_t> end = neteq->GetPlayoutTimestamp();
    const NetEqLifetimeStatistics all = neteq->GetLifetimeStatistics();
    std::printf("%s %llu %llu %llu %llu %llu\n", end ? std::to_string(*end - 480).c_str() : "-",
                (unsigned long long)all.concealed_samples, (unsigned long long)all.silent_concealed_samples,
                (unsigned long long)(all.inserted_samples_for_deceleration + all.removed_samples_for_acceleration),
                (unsigned long long)all.jitter_buffer_delay_ms, (unsigned long long)all.jitter_buffer_emitted_count);
    if (!pcm) continue;
    // Decoded as stereo where the SDP says two channels: the left one.
    const int16_t* samples = frame.data();
    for (size_t n = 0; n < frame.samples_per_channel(); ++n)
      std::fwrite(&samples[n * frame.num_channels()], sizeof(int16_t), 1, pcm);
  }
  if (pcm) std::fclose(pcm);
}
