// A listener against peers that break the rules: raw ZeroMQ and raw TCP. It must log, drop and go on.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/wire/handshake.h"
#include "link_fixture.h"

namespace weft::wire {
namespace {

using testing::HasSubstr;

// A DEALER without manners.
class RawDealer {
 public:
  explicit RawDealer(const std::string& endpoint) {
    const int linger = 0;
    const int patience = 60'000;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~RawDealer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RawDealer(const RawDealer&) = delete;
  RawDealer& operator=(const RawDealer&) = delete;

  void send(const std::string& bytes, bool more = false) {
    EXPECT_GE(zmq_send(socket_, bytes.data(), bytes.size(), more ? ZMQ_SNDMORE : 0), 0);
  }
  void send(const Envelope& envelope) { send(envelope.SerializeAsString()); }
  Envelope receive() {
    std::string bytes(1 << 16, '\0');
    const int size = zmq_recv(socket_, bytes.data(), bytes.size(), 0);
    EXPECT_GE(size, 0) << "nothing came";
    bytes.resize(static_cast<std::size_t>(std::max(size, 0)));
    Envelope envelope;
    EXPECT_TRUE(envelope.ParseFromString(bytes));
    return envelope;
  }
  // Opens a link and returns its epoch.
  std::uint64_t open() {
    DialOptions options;
    options.token = good_token;
    options.rank = 3;
    send(make_open(options));
    const Envelope opened = receive();
    EXPECT_TRUE(opened.has_opened()) << opened.ShortDebugString();
    return opened.link_epoch();
  }

 private:
  void* context_ = zmq_ctx_new();
  void* socket_ = zmq_socket(context_, ZMQ_DEALER);
};

Envelope counted(std::uint64_t epoch, std::uint64_t sequence) {
  Envelope out = numbered(0);
  out.set_link_epoch(epoch);
  out.set_sequence(sequence);
  out.set_credit(1024);
  return out;
}

// The listener still serves an honest peer.
void expect_alive(Listening& head, std::int32_t rank = 100) {
  Client client;
  const auto dialer = head.dial(client, rank);
  ASSERT_TRUE(dialer) << dialer.error().message;
  Peer honest;
  for (std::size_t i = 0; honest.rank != rank; ++i)
    honest = head.server.wait_peer(i);
  ASSERT_TRUE(head.listener->send(honest.link, numbered(0)));
  EXPECT_EQ(client.wait_numbers(1), numbers_to(1));
}

TEST(Hostile, GarbageBeforeOpenIsLoggedAndDropped) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  raw.send(std::string("\xff\xff\xff garbage"));
  EXPECT_TRUE(head.log.wait_for("bytes that are no envelope"));
  raw.send(std::string());
  EXPECT_TRUE(head.log.wait_for("nothing outside an open link"));
  raw.send("two", true);
  raw.send("frames");
  EXPECT_TRUE(head.log.wait_for("more than one frame"));
  raw.send(counted(1, 1));
  EXPECT_TRUE(head.log.wait_for("step_output outside an open link"));
  expect_alive(head);
}

TEST(Hostile, AVersionThatDoesNotMeetIsRefusedNamingBothRanges) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  DialOptions options;
  options.token = good_token;
  Envelope open = make_open(options);
  open.mutable_open()->set_wire_version(9);
  open.mutable_open()->set_wire_version_min(7);
  raw.send(open);
  const Envelope answer = raw.receive();
  ASSERT_TRUE(answer.has_refused());
  EXPECT_THAT(answer.refused().error().message(), HasSubstr("versions 7 to 9 do not meet ours, 1 to 1"));
  expect_alive(head);
}

TEST(Hostile, ASequenceGapEndsTheLinkAndTellsThePeer) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  const std::uint64_t epoch = raw.open();
  raw.send(counted(epoch, 1));
  raw.send(counted(epoch, 3));
  const Error why = head.server.wait_down(head.server.wait_peer().link);
  EXPECT_EQ(why.code, ErrorCode::data_loss);
  EXPECT_THAT(why.message, HasSubstr("sequence 3, expected 2"));
  EXPECT_TRUE(head.log.wait_for("rank 3 (worker, link 1)"));
  EXPECT_THAT(raw.receive().refused().error().message(), HasSubstr("sequence 3"));
  expect_alive(head);
}

TEST(Hostile, GarbageOnAnOpenLinkEndsItNamingTheRank) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  raw.open();
  raw.send(std::string("\x0f\xff"));
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::data_loss);
  EXPECT_TRUE(head.log.wait_for("rank 3 (worker, link 1): bytes that are no envelope"));
  expect_alive(head);
}

TEST(Hostile, ATruncatedMessageEndsTheLink) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  Envelope message = counted(raw.open(), 1);
  message.mutable_failure()->mutable_error()->set_message(std::string(100, 'x'));
  const std::string bytes = message.SerializeAsString();
  raw.send(bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::data_loss);
  expect_alive(head);
}

TEST(Hostile, AnOversizedMessageEndsTheLinkNamingTheRank) {
  Listening head(LinkLimits{.max_message = 4096});
  head.bind();
  RawDealer raw(head.listener->endpoint());
  Envelope message = counted(raw.open(), 1);
  message.mutable_store_request()->set_value(std::string(5000, 'x'));
  raw.send(message);
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::data_loss);
  EXPECT_TRUE(head.log.wait_for("rank 3 (worker, link 1): more bytes than the limit"));
  expect_alive(head);
}

TEST(Hostile, AHugeMessageNeverComesIn) {
  Listening head(LinkLimits{.max_message = 4096});
  head.bind();
  RawDealer raw(head.listener->endpoint());
  Envelope message = counted(raw.open(), 1);
  message.mutable_store_request()->set_value(std::string(1u << 20, 'x'));
  raw.send(message);
  EXPECT_EQ(head.server.wait_down(head.server.wait_peer().link).code, ErrorCode::unavailable);
  expect_alive(head);
}

TEST(Hostile, OutOfStateAndUnknownMessagesAreDroppedAndTheLinkGoesOn) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  const std::uint64_t epoch = raw.open();
  DialOptions options;
  options.token = good_token;
  raw.send(make_open(options));
  EXPECT_TRUE(head.log.wait_for("rank 3 (worker, link 1): open on a link that is open"));
  Envelope unknown = counted(epoch, 1);
  unknown.clear_body();
  raw.send(unknown);
  EXPECT_TRUE(head.log.wait_for("body that this version does not know"));
  raw.send(counted(epoch, 2));
  head.server.wait_numbers(1);
  EXPECT_EQ(head.server.count_down(), 0u);
}

TEST(Hostile, AMessageOfAnotherIncarnationEndsTheLink) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  Envelope stale = counted(raw.open(), 1);
  stale.set_incarnation(5);
  raw.send(stale);
  EXPECT_THAT(head.server.wait_down(head.server.wait_peer().link).message, HasSubstr("incarnation 5, expected 0"));
  expect_alive(head);
}

TEST(Hostile, RawTcpGarbageDoesNotBringTheListenerDown) {
  Listening head;
  head.bind();
  const std::string& endpoint = head.listener->endpoint();
  const auto port = static_cast<std::uint16_t>(std::atoi(endpoint.substr(endpoint.rfind(':') + 1).c_str()));
  std::int32_t rank = 100;
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(100, '\xff'),
                                   std::string("\xff\0\0\0\0\0\0\0\x01\x7f", 10), std::string(1u << 20, '\0')}) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    static_cast<void>(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    expect_alive(head, rank++);
    ::close(socket);
  }
  expect_alive(head, rank++);
}

TEST(Hostile, AFloodOfGarbageIsLoggedAFewTimes) {
  Listening head;
  head.bind();
  RawDealer raw(head.listener->endpoint());
  for (int i = 0; i < 5000; ++i)
    raw.send(std::string("\xff"));
  expect_alive(head);
  const std::string text = head.log.text();
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 500);
}

}  // namespace
}  // namespace weft::wire
